"""Which stages of a run have something to do, found in seconds and without any heavy import."""

from collections.abc import Iterable

from pixelplay.config import Config
from pixelplay.console import wrapped
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


def reason(name: str, config: Config) -> str | None:
    """Why a stage has work to do; None where it is up to date."""
    try:
        return STAGES[name].pending(config)
    except DamagedArtifactError as error:  # found on the way; its record is gone, so that the stages mend it
        return str(error)


def first_pending(config: Config, names: Iterable[str] = STAGES) -> tuple[str, str] | None:
    """The first stage that has work to do, which those after it wait for, and why."""
    return next(((name, why) for name in names if (why := reason(name, config))), None)


def run(config: Config) -> None:
    """Print a line per stage; exits with status 3 when a stage has work to do."""
    waiting = None
    for name in STAGES:
        why = f"waits for {waiting}" if waiting else reason(name, config)
        print(wrapped(f"{name:9} {why or 'up to date'}", " " * 10), flush=True)
        if why and not waiting:
            waiting = name
    if waiting:
        raise SystemExit(WORK_TO_DO)
