"""What the report says about the run itself: its settings, what it was made with, and the time that stages took."""

from contextlib import suppress

from omegaconf import OmegaConf

from pixelplay.config import Config
from pixelplay.errors import PixelPlayError
from pixelplay.report.manifest import Manifest
from pixelplay.report.page import RunFacts, StageTime
from pixelplay.run.artifacts import read_record
from pixelplay.run.files import RunFiles


def run_facts(config: Config, manifest: Manifest) -> RunFacts:
    run = [
        ("experiment", f"{config.experiment}/{config.run}" if config.run else config.experiment),
        ("data set", config.dataset.name),
        ("detectors", ", ".join(config.detectors)),
        ("seed", str(config.seed)),
        ("git commit", manifest.commit),
    ]
    yaml = OmegaConf.to_yaml(OmegaConf.create(config.model_dump(mode="json")))
    return RunFacts(run, manifest.machine, manifest.versions, stage_times(config), yaml)


def stage_times(config: Config) -> list[StageTime]:
    """How long each stage took when it last finished, in the order of the run."""
    files, names = RunFiles.of(config), config.detectors
    records = {"prepare": files.record("prepare")}
    records |= {f"train {name}": files.detector(name) / "trained.json" for name in names}
    for name in names:
        records[f"score {name}"] = files.record(f"score-{name}")
        records[f"score {name}, pseudo-anomalies"] = files.record(f"score-{name}-pseudo")
    records |= {name: files.record(name) for name in ("fuse", "evaluate", "ablate", "explain")}
    times = []
    for stage, path in records.items():
        with suppress(PixelPlayError):  # no record: it has not finished
            value = read_record(path, made_by=stage)
            times.append(StageTime(stage, value.seconds, value.finished))
    return times
