"""Which device, number format and memory allocation a machine computes with."""

import ctypes
import platform

import torch

from pixelplay.errors import ConfigError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h; values in bytes


def find_device(name: str) -> torch.device:
    """The device called `name`, `auto` being CUDA, else Apple's MPS, else the CPU; ConfigError when it is not there."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return choose_device(name, {"cuda": gpus, "mps": int(torch.backends.mps.is_available()), "cpu": 1})


def choose_device(name: str, counts: dict[str, int]) -> torch.device:
    """`find_device` on a machine that has so many devices of each kind, the kinds in the order of preference."""
    there = [kind for kind, count in counts.items() if count]
    if name == "auto":
        return torch.device(there[0])
    kind, _, number = name.partition(":")
    if kind not in there:
        why = " (this one is built without CUDA)" if kind == "cuda" and torch.version.cuda is None else ""
        raise ConfigError(
            f"device={name}: PyTorch {torch.__version__}{why} finds no {kind} device on this machine; it finds "
            f"{', '.join(there)}: set device={there[0]}, or leave it out"
        )
    if number and int(number) >= counts[kind]:
        last = f" to {kind}:{counts[kind] - 1}" if counts[kind] > 1 else ""
        raise ConfigError(f"device={name}: no such device; PyTorch finds {counts[kind]} of them: {kind}:0{last}")
    return torch.device(name)


def trainer_devices(device: torch.device) -> tuple[str, int | list[int]]:
    """`accelerator` and `devices` with which Lightning's Trainer computes on this very device."""
    if device.type == "cuda":
        return "gpu", [device.index or 0]
    return device.type, 1


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
