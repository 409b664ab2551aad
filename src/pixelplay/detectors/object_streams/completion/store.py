"""Cubes of normal objects on disk, from which the network learns."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pixelplay.detectors.object_streams.completion.cubes import VERSION, cut
from pixelplay.detectors.object_streams.completion.network import Scale
from pixelplay.detectors.object_streams.completion.settings import CompletionSettings, CubeConfig
from pixelplay.objects.tracks import cropped, identities, tracks_of
from pixelplay.progress import progress_bar
from pixelplay.run.atomic import remove_leftovers, replaced_folder
from pixelplay.training.clips import Batched, Items
from pixelplay.training.run import TrainingRun
from pixelplay.videos.decoded import require_space
from pixelplay.videos.npy_writer import NpyWriter, is_npy
from pixelplay.videos.video import Video

log = logging.getLogger(__name__)

PATCHES, FLOW = "patches.npy", "flow.npy"
CHUNK = 1024  # cubes in memory at a time


@dataclass(frozen=True)
class Batch:
    """B cubes as in `Cubes`: patches uint8 (B, S, side, side, 3), flow float16 (B, side, side, 2)."""

    patches: torch.Tensor
    flow: torch.Tensor

    def __len__(self) -> int:
        return len(self.patches)

    def to(self, device: torch.device, non_blocking: bool = False) -> "Batch":  # called by Lightning
        return Batch(*(t.to(device, non_blocking=non_blocking) for t in (self.patches, self.flow)))


class StoredCubes(Batched[Batch]):
    """The cubes of some videos, a folder for each, memory-mapped."""

    def __init__(self, folders: Sequence[Path]):
        self._patches, self._flow = ([np.load(f / name, mmap_mode="r") for f in folders] for name in (PATCHES, FLOW))
        rows = [np.arange(len(flow)) for flow in self._flow]
        self._items = Items(self._patches, rows), Items(self._flow, rows)

    def __len__(self) -> int:
        return len(self._items[0])

    def __getitem__(self, items: list[int]) -> Batch:
        return Batch(*(of[items] for of in self._items))

    def scale(self, before: int) -> Scale:
        """Of the patches of the objects' own frames, which have `before` patches before them, and of their flow."""
        mean = _mean(self._patches, lambda cubes: cubes[:, before] / 255)
        square = _mean(self._patches, lambda cubes: (cubes[:, before] / 255) ** 2)
        flow = _mean(self._flow, lambda flow: flow.astype(np.float64) ** 2)
        return Scale(mean, float(np.sqrt(max(square - mean**2, 0.0))), float(np.sqrt(flow)))


def _mean(arrays: Sequence[np.ndarray], values: Callable[[np.ndarray], np.ndarray]) -> float:
    """Of values of the items of all arrays, of which there are some."""
    parts = [array[start : start + CHUNK] for array in arrays for start in range(0, len(array), CHUNK)]
    return float(np.average([values(part).mean() for part in parts], weights=list(map(len, parts))))


def stored_cubes(name: str, videos: Sequence[Video], settings: CompletionSettings, run: TrainingRun) -> StoredCubes:
    """Of every n-th row of each track, at most `max_cubes` in all, drawn by the run's seed; kept in a folder `name`.

    A killed run goes on with the next video. Raises PixelPlayError where the disk has too little room.
    """
    cube = settings.cube
    drawing = settings.every, settings.max_cubes, run.seed
    rows = drawn(videos, *drawing)
    folder = run.intermediate(name, VERSION, cube.model_dump(), drawing, identities(videos))
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    folders = [folder / f"{i:05d}" for i in range(len(videos))]
    missing = [i for i, place in enumerate(folders) if not _is_stored(place, len(rows[i]))]
    patches, flow = _shapes(cube)
    size = int(np.prod(patches) + np.prod(flow) * np.dtype(np.float16).itemsize)
    require_space(folder, size * sum(len(rows[i]) for i in missing), "paths.checkpoints")
    with progress_bar(sum(len(videos[i]) for i in missing), "frame", f"{run.name}: cubes of objects") as bar:
        for i in missing:
            with replaced_folder(folders[i]) as place:
                _store(videos[i], rows[i], cube, place, bar.update)
    count = sum(map(len, rows))
    log.info(f"train: {run.name}: {count:,} cubes of objects are kept in {folder}/ ({count * size / 1e9:.2f} GB)")
    return StoredCubes(folders)


def drawn(videos: Sequence[Video], every: int, limit: int, seed: int) -> list[np.ndarray]:
    """Rows of the tracks of each video, int64 ascending: every n-th of a track, of all of these at most `limit`.

    None in a video's first frame: see `cut`.
    """
    found = [cropped(video, every, None) & (tracks_of(video).position > 0) for video in videos]
    every_row = np.concatenate([np.empty(0, bool), *found])
    candidates = np.flatnonzero(every_row)
    if len(candidates) > limit:
        every_row[:] = False
        every_row[np.random.default_rng(seed).choice(candidates, limit, replace=False)] = True
    parts = np.split(every_row, np.cumsum(list(map(len, found)))[:-1])
    return [np.flatnonzero(part) for part in parts] if found else []


def _shapes(cube: CubeConfig) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (cube.before + 1 + cube.after, cube.side, cube.side, 3), (cube.side, cube.side, 2)


def _is_stored(folder: Path, count: int) -> bool:
    paths = folder / PATCHES, folder / FLOW
    return all(is_npy(path) and len(np.load(path, mmap_mode="r")) == count for path in paths)


def _store(video: Video, rows: np.ndarray, cube: CubeConfig, folder: Path, advance: Callable[[int], Any]) -> None:
    patches, flow = _shapes(cube)
    with NpyWriter(folder / PATCHES, patches, np.uint8) as first, NpyWriter(folder / FLOW, flow, np.float16) as second:
        for part in cut(video, tracks_of(video), rows, cube, cube.after, advance):
            first.extend(part.patches)
            second.extend(part.flow)
