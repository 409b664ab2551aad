"""What the report says about the run itself: its settings, the machine, versions, and the time that stages took."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from omegaconf import OmegaConf

from pixelplay import PACKAGE
from pixelplay.report.page import RunFacts, StageTime
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import read_record
from pixelplay.training.device import find_device

if TYPE_CHECKING:
    from pixelplay.config import Config

LIBRARIES = (
    "torch",
    "lightning",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "opencv-python",
    "faiss-cpu",
    "timm",
    "open_clip_torch",
    "transformers",
    "ultralytics",
)


def run_facts(config: "Config") -> RunFacts:
    """Facts of the run that `config` describes, found on this machine."""
    name = f"{config.experiment}/{config.run}" if config.run else config.experiment
    run = [
        ("experiment", name),
        ("data set", config.dataset.name),
        ("detectors", ", ".join(config.detectors)),
        ("seed", str(config.seed)),
        ("git commit", git_commit(PACKAGE) or "none: not a git repository"),
    ]
    return RunFacts(
        run=run,
        machine=_machine(config),
        versions=[("Python", platform.python_version()), *_versions()],
        stages=stage_times(config),
        config=OmegaConf.to_yaml(OmegaConf.create(config.model_dump(mode="json"))),
    )


def git_commit(folder: Path) -> str | None:
    """Commit of the repository around `folder`, `(changed)` where files differ from it; None where there is none."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        return f"{commit} (changed)" if git("status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.SubprocessError):  # no git, no repository, or one of another user
        return None


def stage_times(config: "Config") -> list[StageTime]:
    """How long each stage took when it last ran to its end, in the order of the flow."""
    files, records = RunFiles.of(config), {"prepare": "prepare", "detect": "detect"}
    records |= {f"train {name}": f"train-{name}" for name in config.detectors}
    for name in config.detectors:
        records[f"score {name}"] = f"score-{name}"
        records[f"score {name}, pseudo-anomalies"] = f"score-{name}-pseudo"
    records |= {name: name for name in ("fuse", "evaluate", "ablate")}
    found = {stage: read_record(files.record(record)) for stage, record in records.items()}
    return [StageTime(stage, record.seconds, record.finished) for stage, record in found.items() if record]


def _machine(config: "Config") -> list[tuple[str, str]]:
    device = find_device(config.device)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = [("processor", f"{_processor()}, {cores} cores"), ("device", str(device))]
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
        facts.append(("GPU", f"{torch.cuda.get_device_name(device)}, {memory / 2**30:.0f} GB"))
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        facts.append(("memory", f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GB"))
    return [*facts, ("system", f"{platform.system()} {platform.release()}, {platform.machine()}")]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _versions() -> list[tuple[str, str]]:
    found = []
    for name in LIBRARIES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:  # not every run needs every one of them
            continue
    return found
