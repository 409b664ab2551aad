"""The whole pipeline, `pixelplay run`: every stage that has work to do, each in a process of its own.

Separate processes free the memory of one stage before the next, and no stage's settings of a library reach another's.
"""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterable, Sequence

from pixelplay import CHECKOUT
from pixelplay.command_line import STARTED_BY, program
from pixelplay.config import Config
from pixelplay.run.locks import exclusive
from pixelplay.stages import status

SHOWN = ("events", "evaluate", "ablate", "explain", "report")  # print their result even when they are up to date


def run(config: Config) -> None:
    """Run the stages; exits with the status of the first that fails."""
    from hydra.core.hydra_config import HydraConfig

    overrides = list(HydraConfig.get().overrides.task)
    if config.run and not any(override.startswith("run=") for override in overrides):
        overrides.append(f"run={config.run}")  # a sweep names its runs
    logging.getLogger("pixelplay.run.stage").setLevel(logging.WARNING)  # what is up to date is listed
    run_stages(config, overrides, status.STAGES, "run", SHOWN)


def run_stages(
    config: Config, overrides: Sequence[str], names: Iterable[str], command: str, shown: Collection[str] = ()
) -> None:
    """Run those of the stages `names`, in order, that have work to do, with these overrides.

    `shown`: stages that print their result even without work; `command`: what messages propose to repeat. Exits with
    the status of the first stage that fails.
    """
    names = list(names)
    waiting, working = status.first_pending(config, names), False
    for name in names:
        working = working or name == waiting
        if working:
            _run_process(name, overrides, command)
        elif name in shown:
            with exclusive(config):
                status.STAGES[name].run(config)


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
