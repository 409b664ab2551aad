"""Which device, number format and memory allocation a machine computes with."""

import ctypes
import platform

import torch

from pixelplay.errors import ConfigError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h; values in bytes


def find_device(name: str) -> torch.device:
    """The device called `name`, `auto` being CUDA, else Apple's MPS, else the CPU; ConfigError when it is not there."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    found = [kind for kind, is_there in present.items() if is_there]
    if name == "auto":
        return torch.device(found[0])
    if name not in found:
        raise ConfigError(f"device={name}: PyTorch finds none on this machine; it finds {', '.join(found)}")
    return torch.device(name)


def autocast_bf16(precision: str, device: torch.device) -> bool:
    """Whether to compute in bfloat16 where that is safe: `bf16`, or `auto` on hardware that multiplies it natively.

    Decided by what the hardware has and never by a timing, so that a resumed run computes like the one it resumes.
    Measured with and without in benchmarks/RESULTS.md.
    """
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def keep_freed_memory() -> None:
    """Let this process keep the memory of freed tensors for the next ones, instead of returning it to the kernel.

    By default glibc maps every large tensor anew, and the kernel fills each page with zeros first: a quarter of a
    training step on a CPU (benchmarks/RESULTS.md). Elsewhere than with glibc nothing is changed.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    for option, value in ((M_TRIM_THRESHOLD, 2**31 - 1), (M_MMAP_THRESHOLD, 2**30)):
        libc.mallopt(option, value)
