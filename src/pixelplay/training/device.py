"""Which device and number format a machine computes with."""

import torch


def find_device(name: str) -> torch.device:
    """The device called `name`; `auto` is CUDA, else Apple's MPS, else the CPU."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


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
