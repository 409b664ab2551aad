"""How files are written: to a temporary name beside their own, then renamed.

A run killed at any moment leaves either the old file or the new one; what it leaves under temporary names, the next run
removes. Errors of the disk name the file, whatever the library that wrote it made of them.
"""

import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pixelplay.errors import PixelPlayError

HOST = re.sub(r"\W", "-", platform.node()) or "here"


def _temporary(path: Path) -> Path:
    """A hidden name beside `path` that is known as this process's: see `leftovers`."""
    return path.with_name(f".{path.name}.{HOST}.{os.getpid()}.tmp")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path in `path`'s folder; renamed to `path` when the block ends well, removed when it fails.

    Raises OSError that names `path` where the disk takes no more, whatever the library that writes makes of that.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        with _disk_errors(path, temporary):
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def copied(source: Path, target: Path) -> Path:
    """Copy the contents of a file; returns `target`."""
    with atomic(target) as temporary:
        shutil.copyfile(source, temporary)
    return target


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; renamed to `path` when the block ends well, removed when it fails.

    What another process has put there meanwhile stays. Raises OSError as `atomic` does.
    """
    with _temporary_folder(path) as temporary:
        yield temporary
        try:
            os.replace(temporary, path)
        except OSError:
            if not path.is_dir():
                raise


@contextmanager
def atomic_named(path: Path) -> Iterator[Path]:
    """Like `atomic`, for libraries that go by a file's name: the temporary path has it, in a folder of its own."""
    with _temporary_folder(path) as folder:
        yield folder / path.name
        os.replace(folder / path.name, path)


@contextmanager
def _temporary_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` that is there while the block runs."""
    folder = _temporary(path)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with _disk_errors(path, folder / ".room"):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Like `atomic_folder`, but a folder at `path` gives way to the new one, and is deleted."""
    old = _temporary(path.with_name(f"{path.name}.old"))  # deleted in place, half of it could pass for the whole
    with atomic_folder(path) as temporary:
        yield temporary
        if path.exists():
            os.replace(path, old)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _disk_errors(path: Path, probe: Path) -> Iterator[None]:
    """Raise errors of the disk as OSError that names `path`; torch, safetensors and NumPy have words of their own."""
    try:
        yield
    except PixelPlayError:
        raise
    except Exception as error:
        if not isinstance(error, OSError) or error.errno is None:
            require_room(path, probe)
        elif error.filename is None or str(error.filename).startswith(str(_temporary(path))):
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def require_room(path: Path, probe: Path) -> None:
    """Write a little more to `probe`; raises OSError that names `path` where the system refuses that."""
    try:
        with open(probe, "ab") as file:
            size = file.tell()
            file.write(bytes(65536))
            file.flush()
            os.fsync(file.fileno())
            file.truncate(size)
    except OSError as error:
        assert error.errno is not None
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


def remove_files(folder: Path, pattern: str) -> None:
    """Delete files that the project has written below `folder`, and folders that are empty without them."""
    for path in list(folder.glob(pattern)):
        path.unlink()
        with suppress(OSError):  # not empty: it holds something else
            path.parent.rmdir()


def leftovers(folder: Path, pattern: str = "**/.*") -> list[Path]:
    """What killed processes left anywhere below `folder`; those of other machines may be alive."""
    pids = ((path, path.name.split(".")[-2]) for path in folder.glob(f"{pattern}.{HOST}.*.tmp"))
    return [path for path, pid in pids if pid.isdigit() and not _is_running(int(pid))]


def remove_leftovers(folder: Path, pattern: str = "**/.*") -> None:
    """Delete `leftovers`."""
    for path in leftovers(folder, pattern):
        remove(path)


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)  # else it is somebody else's
    return True


def require_writable(folder: Path, key: str) -> None:
    """Make `folder`, and raise PixelPlayError when files can't be written there; `key` is the setting that names it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise PixelPlayError(
            f"cannot write to {folder}/ ({error.strerror}): name another folder with {key}=FOLDER"
        ) from None
