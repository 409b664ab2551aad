"""Which stages of a run have something to do, found in seconds and without any heavy import."""

from collections.abc import Iterable
from types import ModuleType

from pixelplay.config import Config
from pixelplay.errors import DamagedArtifactError
from pixelplay.stages import ablate, detect, evaluate, events, explain, extract, fuse, prepare, report, score, train

STAGES = {
    "prepare": prepare,
    "detect": detect,
    "extract": extract,
    "train": train,
    "score": score,
    "fuse": fuse,
    "events": events,
    "evaluate": evaluate,
    "ablate": ablate,
    "explain": explain,
    "report": report,
}
WORK_TO_DO = 3  # exit status


def _pending(stage: ModuleType, config: Config) -> str | None:
    try:
        return stage.pending(config)
    except DamagedArtifactError as error:  # found on the way; its record is gone, so that the stages mend it
        return str(error)


def first_pending(config: Config, names: Iterable[str] = STAGES) -> str | None:
    """Print a line per stage; returns the first stage that has work to do, which those after it wait for."""
    waiting = None
    for name in names:
        reason = f"waits for {waiting}" if waiting else _pending(STAGES[name], config)
        print(f"{name:9} {reason or 'up to date'}", flush=True)
        if reason and not waiting:
            waiting = name
    return waiting


def run(config: Config) -> None:
    """Print a line per stage; exits with status 3 when a stage has work to do."""
    if first_pending(config):
        raise SystemExit(WORK_TO_DO)
