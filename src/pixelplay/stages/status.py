"""Which stages of a run have something to do, found in seconds and without any heavy import."""

from types import ModuleType

from pixelplay.config import Config
from pixelplay.errors import MissingArtifactError
from pixelplay.stages import evaluate, fuse, prepare, score, train

STAGES = {"prepare": prepare, "train": train, "score": score, "fuse": fuse, "evaluate": evaluate}
WORK_TO_DO = 3  # exit status


def run(config: Config) -> None:
    """Print a line per stage; exits with status 3 when a stage has work to do."""
    reasons = {name: _reason(stage, config) for name, stage in STAGES.items()}
    for name, reason in reasons.items():
        print(f"{name:9} {reason or 'up to date'}")
    if any(reasons.values()):
        raise SystemExit(WORK_TO_DO)


def _reason(stage: ModuleType, config: Config) -> str | None:
    try:
        return stage.pending(config)
    except MissingArtifactError:
        return "waits for an earlier stage"
