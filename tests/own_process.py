"""Tests of memory run in a process of their own: what other tests' threads allocate is not counted there."""

import multiprocessing
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import wraps
from importlib import import_module

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["cv2", "pandas", "torch"])  # imported once for all of these tests


def in_own_process(test: Callable[..., None]) -> Callable[..., None]:
    """The test, whose fixtures can be pickled, in a new process; pytest shows the traceback of that."""

    @wraps(test)
    def run(**fixtures: object) -> None:
        with ProcessPoolExecutor(1, PROCESSES) as pool:
            pool.submit(_run, test.__module__, test.__name__, fixtures).result()

    return run


def _run(module: str, name: str, fixtures: dict[str, object]) -> None:
    getattr(import_module(module), name).__wrapped__(**fixtures)


def peak(work: Callable[..., object], *arguments: object) -> int:
    """Bytes that Python and NumPy hold at most while `work(*arguments)` runs, of what is allocated in it."""
    tracemalloc.start()
    work(*arguments)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most
