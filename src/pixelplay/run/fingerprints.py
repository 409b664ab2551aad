"""Short keys of values and files, by which results are known."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

KEYS = "[0-9a-f]" * 16  # pattern of a fingerprint in a file's name


def fingerprint(*values: Any) -> str:
    """16 hex digits that depend on the JSON form of `values` alone."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_state(path: Path) -> tuple[int, ...]:
    """What tells whether a file is as it was when it was read: device, inode, size and times; raises OSError."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def file_digests(paths: Iterable[Path]) -> list[str]:
    """SHA-256 of the contents of each file, in hex digits."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
