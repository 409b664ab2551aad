"""SHA-256 of the contents of files, remembered, so that only files that have changed are read again.

A remembered digest holds while path, device, inode, size, mtime and ctime (both in nanoseconds) are all as they were:
no change of contents leaves them so, even if times are set back or files swapped. Without stable inodes everything is
read again.
"""

import hashlib
import json
import logging
import os
import stat
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from pixelplay.progress import progress_bar
from pixelplay.run.atomic import atomic

log = logging.getLogger(__name__)

TICK = 20_000_000  # ns within which a second change could leave a file's times as they are: twice the system's slowest
COARSE_TICK = 2_000_000_000  # the same where file systems keep whole seconds
SHOWN = 1000  # files from which on reading has a progress bar

Identity = tuple[int, int, int, int, int]  # device, inode, size, mtime and ctime


class Digests:
    """Digests that the file `path` remembers: a line with its checksum and a line of JSON.

    It is read as empty when missing or damaged. Processes that write it at the same time lose each other's digests,
    which are then computed again. Threads may share an object.
    """

    def __init__(self, path: Path):
        self._path = path
        self._lock = threading.Lock()

    def of(self, paths: Iterable[Path]) -> list[str]:
        """The digest of each file, 64 hex digits; a word that says why if it is no regular file or can't be read."""
        wanted = [os.path.abspath(path) for path in paths]
        found = {path: _identity(path) for path in wanted}
        with self._lock:
            known = self._known
            files = {path: one for path, one in found.items() if not isinstance(one, str)}
            digests = self._hash({p: one for p, one in files.items() if p not in known or known[p][0] != one})
            return [digests.get(p) or (known[p][1] if p in files else str(found[p])) for p in wanted]

    def _hash(self, files: dict[str, Identity]) -> dict[str, str]:
        """Read files, and remember them as they are when they are opened."""
        if not files:
            return {}
        _let_settle(files.values())
        digests: dict[str, str] = {}
        shown = len(files) if len(files) >= SHOWN else 0
        with progress_bar(shown, "file", "reading contents") as bar, ThreadPoolExecutor() as pool:
            for path, (identity, digest) in zip(files, pool.map(_contents, files), strict=True):
                digests[path] = digest
                if identity == files[path]:  # else it changes just now
                    self._known[path] = files[path], digest
                bar.update()
        self._write()
        return digests

    @cached_property
    def _known(self) -> dict[str, tuple[Identity, str]]:
        try:
            checksum, body = self._path.read_bytes().split(b"\n")[:2]
        except (OSError, ValueError):
            return {}
        if hashlib.sha256(body).hexdigest().encode() != checksum:
            return {}
        return {path: ((*identity,), digest) for path, (*identity, digest) in json.loads(body).items()}

    def _write(self) -> None:
        kept = {path: value for path, value in self._known.items() if os.path.lexists(path)}
        body = json.dumps({path: [*identity, digest] for path, (identity, digest) in kept.items()}).encode()
        try:
            with atomic(self._path) as temporary:
                temporary.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body + b"\n")
        except OSError as error:  # a cache that may only be read, for instance: slower, and no less right
            log.warning(f"{self._path} cannot be written ({error.strerror}): every command reads these files again")


def _let_settle(files: Iterable[Identity]) -> None:
    """Wait until whatever changes one of these files from now on changes its ctime, too."""
    now = time.time_ns()
    ticks = ((changed, TICK if changed % 1_000_000_000 else COARSE_TICK) for *_, changed in files)
    time.sleep(max((tick for changed, tick in ticks if now - changed < tick), default=0) / 1_000_000_000)


def _identity(file: str | int) -> Identity | str:
    """What tells whether a file, by its path or opened, has changed, or why it is not read."""
    try:
        found = os.stat(file)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not stat.S_ISREG(found.st_mode):
        return f"not a file: {stat.filemode(found.st_mode)[0]}"
    if not found.st_size:
        return "empty"  # not opened either: files of /proc say so, and some are endless
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _contents(path: str) -> tuple[Identity | str, str]:
    """A file's identity when it was opened, and its digest; or twice the word that says why it is not read."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # does not wait for a FIFO's other end
            identity = _identity(file.fileno())
            return identity, identity if isinstance(identity, str) else hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return (word := f"cannot be read: {error.strerror}"), word
