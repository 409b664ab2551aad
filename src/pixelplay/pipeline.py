"""The whole pipeline, `pixelplay run`: every stage that has work to do, each in a process of its own.

Separate processes free the memory of one stage before the next, and no stage's settings of a library reach another's.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence

from pixelplay import CHECKOUT
from pixelplay.command_line import STARTED_BY, program
from pixelplay.config import Config
from pixelplay.console import heading
from pixelplay.durations import Estimate
from pixelplay.progress import duration, time_left
from pixelplay.run.locks import exclusive
from pixelplay.run.weights_and_biases import log_run
from pixelplay.stages import status
from pixelplay.summary import summary

log = logging.getLogger(__name__)


def run(config: Config, overrides: list[str]) -> None:
    """Run the stages and print a summary; exits with the status of the first that fails."""
    started = time.monotonic()
    took = run_stages(config, overrides, status.STAGES, "run")
    if not took:  # it may have had no work that W&B was told of
        with exclusive(config):
            log_run(config, "report")
    for line in summary(config, took, time.monotonic() - started):
        log.info(line)


def run_stages(config: Config, overrides: Sequence[str], names: Iterable[str], command: str) -> dict[str, float]:
    """Run those of the stages `names`, in order, that have work to do, with these overrides.

    command: what messages propose to repeat. Returns the seconds that each of them took; exits with the status of the
    first that fails.
    """
    names = list(names)
    first = status.first_pending(config, names)
    current = names[: names.index(first[0])] if first else names
    if current:
        log.info(f"up to date: {', '.join(current)}")
    estimate = Estimate(config) if first else None
    took = dict[str, float]()
    for number, name in enumerate(names[len(current) :], start=len(current) + 1):
        told = [first[1]] if first and not took else [f"{duration(sum(took.values()))} so far"]
        if estimate and (left := estimate.seconds(config, names[number - 1 :])) is not None:
            told.append(time_left(left))
        heading(log, f"[{number}/{len(names)}] {name}: {', '.join(told)}")
        started = time.monotonic()
        _run_process(name, overrides, command)
        took[name] = time.monotonic() - started
    return took


def _run_process(stage: str, overrides: Sequence[str], started_by: str) -> None:
    command = [str(CHECKOUT / f"src/{stage}.py")] if CHECKOUT else ["-P", "-m", "pixelplay", stage]
    environment = os.environ | {STARTED_BY: program(started_by)}
    sys.stdout.flush()
    process = subprocess.Popen([sys.executable, *command, *overrides], env=environment)
    # Ctrl+C reaches the stage as well, which ends with a message; this process waits for it.
    interrupted = signal.signal(signal.SIGINT, lambda *_: None)
    terminated = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        status = process.wait()
    finally:
        signal.signal(signal.SIGINT, interrupted)
        signal.signal(signal.SIGTERM, terminated)
    if status:
        raise SystemExit(status if status > 0 else 128 - status)
