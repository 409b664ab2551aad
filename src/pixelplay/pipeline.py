"""The whole pipeline, `pixelplay run`: every stage that has work to do, each in a process of its own.

Separate processes free the memory of one stage before the next, and no stage's settings of a library reach another's.
"""

import logging
import os
import signal
import subprocess
import sys

from pixelplay import CHECKOUT
from pixelplay.command_line import STARTED_BY, program
from pixelplay.config import Config
from pixelplay.run.locks import exclusive
from pixelplay.stages import status

SHOWN = ("evaluate", "ablate", "explain", "report")  # stages that print their result even when they are up to date


def run(config: Config) -> None:
    """Run the stages; exits with the status of the first that fails."""
    from hydra.core.hydra_config import HydraConfig

    waiting = status.first_pending(config)
    overrides = list(HydraConfig.get().overrides.task)
    if config.run and not any(override.startswith("run=") for override in overrides):
        overrides.append(f"run={config.run}")  # a sweep names its runs
    logging.getLogger("pixelplay.run.stage").setLevel(logging.WARNING)  # what is up to date has been listed
    working = False
    for name, stage in status.STAGES.items():
        working = working or name == waiting
        if working:
            _run_process(name, overrides)
        elif name in SHOWN:
            with exclusive(config):
                stage.run(config)


def _run_process(stage: str, overrides: list[str]) -> None:
    command = [str(CHECKOUT / f"src/{stage}.py")] if CHECKOUT else ["-P", "-m", "pixelplay", stage]
    sys.stdout.flush()
    process = subprocess.Popen([sys.executable, *command, *overrides], env=os.environ | {STARTED_BY: program("run")})
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
