"""One process at a time: in the folder of a run, and in what several runs share."""

import json
import logging
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from pixelplay.errors import InUseError
from pixelplay.run.atomic import atomic, remove_leftovers
from pixelplay.run.files import RunFiles

if TYPE_CHECKING:
    from pixelplay.config import Config

log = logging.getLogger(__name__)


@contextmanager
def lock(path: Path, what: str, timeout: float = 0) -> Iterator[None]:
    """Let one process at a time run the block; `path` is a small file that stays, `what` begins the message.

    The system frees the lock when the process ends. Raises InUseError, which names the process that holds the lock,
    after `timeout` seconds (0: at once, -1: never). Where no file can be made nothing is locked: nobody can write.
    """
    own, locked, holder = FileLock(path), True, path.with_name(f"{path.name}.json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        own.acquire(timeout=timeout)
    except Timeout:
        raise InUseError(f"{what} is in use by {_named(holder)}: wait until that has ended, or stop it") from None
    except OSError:
        locked = False
    try:
        if locked:
            command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
            process = f"process {os.getpid()} on {platform.node()} ({command})"
            with suppress(OSError), atomic(holder) as temporary:  # of a full disk, say
                temporary.write_text(json.dumps(process), encoding="utf-8")
        yield
    finally:
        if locked:
            holder.unlink(missing_ok=True)
            own.release()


def _named(holder: Path) -> str:
    try:
        return str(json.loads(holder.read_bytes()))
    except (OSError, ValueError, RecursionError):  # it has not written that yet
        return "another process"


@contextmanager
def exclusive(config: "Config") -> Iterator[None]:
    """Let one process at a time write the files of a run (else InUseError); removes what killed ones left there."""
    files = RunFiles.of(config)
    with lock(files.outputs / ".lock", f"the run {files.outputs}/"):
        for folder in (files.outputs, files.checkpoints):
            remove_leftovers(folder)
        remove_leftovers(files.submission.parent, f".{escape(files.submission.name)}")
        yield


@contextmanager
def turn(path: Path, what: str, waiting: Callable[[], Any] = lambda: None) -> Iterator[None]:
    """Like `lock`, for a file or folder `path` that several runs share: waits until the other process is done with it.

    `waiting` is called every second meanwhile, and may raise to give up. The lock is a hidden file beside `path`.
    """
    place, told = path.with_name(f".{path.name}.lock"), False
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(lock(place, what, timeout=1 if told else 0))
                break
            except InUseError as error:
                if not told:
                    log.info(f"waiting: {error}")
                told = True
                waiting()
        yield
