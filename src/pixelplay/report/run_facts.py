"""What the report says about the run itself: its settings, what it was made with, and the time that stages took."""

from omegaconf import OmegaConf

from pixelplay.config import Config
from pixelplay.report.manifest import Manifest
from pixelplay.report.page import RunFacts, StageTime
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import read_record


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
    files, records = RunFiles.of(config), {"prepare": "prepare", "detect": "detect"}
    records |= {f"train {name}": f"train-{name}" for name in config.detectors}
    for name in config.detectors:
        records[f"score {name}"] = f"score-{name}"
        records[f"score {name}, pseudo-anomalies"] = f"score-{name}-pseudo"
    records |= {name: name for name in ("fuse", "evaluate", "ablate", "explain")}
    found = {stage: read_record(files.record(record)) for stage, record in records.items()}
    return [StageTime(stage, record.seconds, record.finished) for stage, record in found.items() if record]
