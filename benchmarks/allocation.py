"""What the C library does with freed memory while something is timed: it keeps it, or returns it to the kernel."""

import ctypes

from pixelplay.training.device import M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, keep_freed_memory

GLIBC_DEFAULTS = {M_TRIM_THRESHOLD: 128 * 1024, M_MMAP_THRESHOLD: 128 * 1024}  # bytes


def set_memory(kept: bool) -> None:
    """As `keep_freed_memory` does it, or as glibc does it by itself."""
    if kept:
        keep_freed_memory()
        return
    libc = ctypes.CDLL(None)
    for option, value in GLIBC_DEFAULTS.items():
        libc.mallopt(option, value)
    libc.malloc_trim(0)
