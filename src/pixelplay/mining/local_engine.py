"""mine.engine=local: clips are worked on by threads of this process, and come back in order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

AHEAD = 2  # batches of each thread that are held, done or not

Given = TypeVar("Given")
Made = TypeVar("Made")


def in_order(
    work: Callable[[Given], Made], given: Iterable[Given], batch_size: int, threads: int
) -> Iterator[list[tuple[Given, Made]]]:
    """Batches of what was given with what `work` made of it, in the order given; `threads`: 0 is one per core.

    A batch is one thread's, so that clips of one video, which stand together, are read by one. Only a few batches are
    held, however much is given.
    """
    threads = threads or os.cpu_count() or 1
    waiting: deque[Future[list[tuple[Given, Made]]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for batch in batches_of(given, batch_size):
                waiting.append(pool.submit(lambda parts: [(part, work(part)) for part in parts], batch))
                if len(waiting) == AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # where the run is stopped, what has not begun never will


def batches_of(given: Iterable[Given], size: int) -> Iterator[list[Given]]:
    """Lists of `size`, the last one of what is left."""
    parts = iter(given)
    while batch := list(islice(parts, size)):
        yield batch
