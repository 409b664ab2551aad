"""step=score: how hard each clip is for VideoMAE to fill in; an interrupted run resumes where it stopped."""

import hashlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pixelplay.mining.clips import Clip, count_clips, read_clips
from pixelplay.mining.files import MiningFiles
from pixelplay.mining.score_file import append, line_of, read_scores, resume
from pixelplay.progress import progress_bar

if TYPE_CHECKING:  # importing it imports torch
    from pixelplay.config import Config
    from pixelplay.mining.clip_model import ClipModel, ModelSettings

log = logging.getLogger(__name__)

VERSION = 1  # raised when the same clips and model give other scores
AHEAD = 2  # batches per thread that are held, finished or not

Item = TypeVar("Item")
Result = TypeVar("Result")


def run(config: "Config", files: MiningFiles) -> None:
    """Append the scores of all clips that have none yet. Raises DataError if no clip can be read."""
    mine = config.mine
    total = count_clips(files.clips, mine.frames)  # reports invalid lines before the weights are loaded
    if mine.engine == "ray":
        from pixelplay.mining.ray_engine import require_ray

        require_ray(config.device)
    settings, model = load_model(config)
    with open(files.clips, "rb") as file:
        manifest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    clips = read_clips(files.clips, mine.frames)
    done = resume(files.scores, clips, {**model.identity, "manifest": manifest, "version": VERSION})
    if done:
        log.info(f"score: {done} of {total} clips have their scores already")
    if mine.engine == "ray" and done < total:  # Ray takes long to start
        from pixelplay.mining.ray_engine import score_on_ray

        batches = score_on_ray(clips, settings, mine.frames, mine.batch_size, mine.workers)
    else:
        batches = in_order(model.score, clips, mine.batch_size, mine.workers)
    with progress_bar(total - done, "clip", "score") as bar:
        for batch in batches:
            append(files.scores, [line_of(done + i, clip, scored) for i, (clip, scored) in enumerate(batch)])
            done += len(batch)
            bar.update(len(batch))
    _summarise(files)


def load_model(config: "Config") -> "tuple[ModelSettings, ClipModel]":
    """The configured VideoMAE, and the settings to load it elsewhere. Raises ConfigError or WeightsError."""
    from pixelplay.mining.clip_model import ClipModel, ModelSettings
    from pixelplay.training.device import autocast_bf16, find_device

    mine, weights = config.mine, config.weights.videomae
    folder = Path(weights).expanduser()
    settings = ModelSettings(
        weights=str(folder.absolute()) if folder.is_dir() else weights,  # workers have another working directory
        device=config.device,
        bf16=autocast_bf16(mine.precision, find_device(config.device)),
        mask=mine.mask,
        seed=mine.mask_seed,
        root=(mine.root or Path()).absolute(),
    )
    return settings, ClipModel(settings, mine.frames)


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], batch_size: int, threads: int
) -> Iterator[list[tuple[Item, Result]]]:
    """mine.engine=local: batches of items and their results, computed by threads (0: one per core), in order.

    A thread works on a whole batch, so that it reads neighbouring clips of a video. Few batches are held at a time.
    """
    threads = threads or os.cpu_count() or 1
    waiting: deque[Future[list[tuple[Item, Result]]]] = deque()
    items = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        try:
            while batch := list(islice(items, batch_size)):
                waiting.append(pool.submit(lambda batch: [(item, work(item)) for item in batch], batch))
                if len(waiting) == AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # an interrupted run starts no further batch


def each(work: Callable[[Clip], Result], clips: Sequence[Clip], workers: int, task: str) -> Iterator[Result]:
    """What `work` makes of each clip, in order, by so many threads, with a progress bar."""
    with progress_bar(len(clips), "clip", task) as bar:
        for ((_, made),) in in_order(work, clips, 1, workers):
            yield made
            bar.update()


def _summarise(files: MiningFiles) -> None:
    table = read_scores(files.scores)
    unread = table[table["score"].isna()]
    if len(unread):
        log.warning(
            f"score: {len(unread)} of {len(table)} clips have no score, such as clip {unread['step'].iloc[0]} "
            f"({unread['error'].iloc[0]}): their errors are in {files.scores}; delete it to try again"
        )
    log.info(
        f"score: {len(table)} clips, median {table['score'].median():.4g}, highest {table['score'].max():.4g}: "
        f"{files.scores}"
    )
