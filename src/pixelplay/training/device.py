"""Device, number format and memory allocation."""

import ctypes
import platform

import torch

from pixelplay.errors import ConfigError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h; values in bytes


def find_device(name: str) -> torch.device:
    """The device `name`; `auto` is CUDA, else Apple's MPS, else the CPU. Raises ConfigError if it is not available."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return choose_device(name, {"cuda": gpus, "mps": int(torch.backends.mps.is_available()), "cpu": 1})


def choose_device(name: str, counts: dict[str, int]) -> torch.device:
    """`find_device` on a machine with so many devices of each kind, by preference."""
    there = [kind for kind, count in counts.items() if count]
    if name == "auto":
        return torch.device(there[0])
    kind, _, number = name.partition(":")
    if kind not in there:
        why = " (built without CUDA)" if kind == "cuda" and torch.version.cuda is None else ""
        raise ConfigError(
            f"device={name}: PyTorch {torch.__version__}{why} finds no {kind} device on this machine; it finds "
            f"{', '.join(there)}: set device={there[0]}, or leave it out"
        )
    if number and int(number) >= counts[kind]:
        last = f" to {kind}:{counts[kind] - 1}" if counts[kind] > 1 else ""
        raise ConfigError(f"device={name}: no such device; PyTorch finds {counts[kind]} of them: {kind}:0{last}")
    return torch.device(name)


def trainer_devices(device: torch.device) -> tuple[str, int | list[int]]:
    """Lightning's `accelerator` and `devices` for exactly this device."""
    return ("gpu", [device.index or 0]) if device.type == "cuda" else (device.type, 1)


def autocast_bf16(precision: str, device: torch.device) -> bool:
    """Whether to compute in bfloat16: for `bf16`, and for `auto` on hardware that multiplies it natively. That is no
    timing, so that a resumed run computes like the one it resumes (benchmarks/RESULTS.md).
    """
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def keep_freed_memory() -> None:
    """Let glibc's malloc, where there is one, reuse the memory of freed tensors. By default every large tensor gets new
    pages, which the kernel fills with zeros: a quarter of a training step on a CPU (benchmarks/RESULTS.md).
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(M_MMAP_THRESHOLD, 2**30)
