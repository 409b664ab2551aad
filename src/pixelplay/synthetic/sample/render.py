"""Writes the sample data set to disk, videos in parallel, in the generic `folder` layout."""

import os
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pixelplay.errors import DataError
from pixelplay.progress import progress_bar
from pixelplay.run.atomic import atomic_folder
from pixelplay.synthetic.sample.anomalies import EVENTS, pick_kinds, pick_slots
from pixelplay.synthetic.sample.crowd import Actor, Stage, pick_crowd
from pixelplay.synthetic.sample.footage import Light, Truth, find_truth, render_frames
from pixelplay.synthetic.sample.plaza import Camera
from pixelplay.videos.corruption import corrupt, draw_kinds
from pixelplay.videos.settings import SampleConfig

JPEG_QUALITY = 92
LATE_STARTS = 1000  # a test video that starts late starts below this frame number
PLANS = 20  # attempts to plan a test video with both normal and anomalous frames
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Plan:
    """What happens in one video of T frames."""

    actors: list[Actor]
    truths: dict[int, Truth]  # by position, anomalous frames only
    kinds: np.ndarray  # str [T], the corruption of each frame
    numbers: np.ndarray  # int64 [T], frame numbers


def render_sample(root: Path, config: SampleConfig, workers: int = 0) -> None:
    """Render the data set into `root`, which must be empty or missing; `workers` processes, 0 for one per core.

    The same settings give the same bytes, whatever `workers`. Contents of `root`:

    - `train/01/frame_00000.jpg` …: clean normal frames, numbered from 0.
    - `test/01/frame_00123.jpg` …: corrupted as `config.corruption` says; a video may start late, frames may be missing.
    - `test_labels/01.csv`: `frame,label`, a row for every frame on disk; 1 exactly where there is a mask.
    - `test_masks/01/frame_00123.png`: 255 at anomalous pixels, else 0; anomalous frames only.
    - `test_tracks/01.csv`: `track_id,frame,x1,y1,x2,y2`, boxes of the anomalous objects, x2 and y2 exclusive.

    Masks and boxes are those of the upright scene. A killed run leaves no `root`, only a hidden folder beside it, which
    `remove_leftovers` deletes. Raises DataError if `root` is not empty, ValueError for a negative `workers`.
    """
    if workers < 0:
        raise ValueError(f"workers={workers} must be 0 (one per core) or more")
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DataError(f"{root} exists and is not empty; remove it to have the sample rendered there again")
    counts = (config.train_videos, config.test_videos)
    jobs = [(split, video) for split, count in zip(SPLITS, counts, strict=True) for video in range(count)]
    with atomic_folder(root) as unfinished:
        _render_all(unfinished, config, jobs, min(workers or os.cpu_count() or 1, len(jobs)))
        if root.exists():
            root.rmdir()


def _render_all(folder: Path, config: SampleConfig, jobs: list[tuple[str, int]], workers: int) -> None:
    with progress_bar(len(jobs), "video", "rendering the sample") as progress:
        if workers == 1:
            for job in jobs:
                write_video(folder, config, *job)
                progress.update()
            return
        context = get_context("spawn")  # a fork would copy locks that other libraries' threads hold
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:
            for done in as_completed([pool.submit(write_video, folder, config, *job) for job in jobs]):
                done.result()
                progress.update()


def _start_worker() -> None:
    """One thread per process, which ends with its parent: it must not write into the next run's folder."""
    cv2.setNumThreads(1)
    parent = parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def write_video(folder: Path, config: SampleConfig, split: str, video: int) -> None:
    """Render video number `video`, from 0, of `split` ('train' or 'test') below `folder`."""
    camera, name = Camera(config.width, config.height), f"{video + 1:02d}"
    _, light_rng, sensor_rng, corruption_rng = _generators(config, split, video)
    plan = plan_video(camera, config, split, video)
    (folder / split / name).mkdir(parents=True)
    frames = render_frames(camera, config.seed, Light(light_rng), plan.actors, len(plan.numbers), sensor_rng)
    for frame, kind, number in zip(frames, plan.kinds, plan.numbers, strict=True):
        if kind != "missing":
            image = corrupt(frame, str(kind), config.corruption, corruption_rng)
            options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            _write(folder / split / name / f"frame_{number:05d}.jpg", image, options)
    if split == "test":
        _write_truth(folder, name, plan)


def _generators(config: SampleConfig, split: str, video: int) -> list[np.random.Generator]:
    """Of the plan, the light, the sensor and the corruption of a video."""
    return np.random.default_rng([config.seed, SPLITS.index(split), video]).spawn(4)


def plan_video(camera: Camera, config: SampleConfig, split: str, video: int) -> Plan:
    """What happens in video number `video`, from 0, of `split`. A test video's plan is drawn until both normal and
    anomalous frames remain, which is hardly ever more than once.
    """
    rng, *_ = _generators(config, split, video)
    for _ in range(PLANS):
        frames = int(rng.integers(config.min_frames, config.max_frames + 1))
        stage, kinds = Stage(camera, frames), pick_kinds(video)
        actors = pick_crowd(stage, rng)
        if split == "train":
            return Plan(actors, {}, np.full(frames, "none"), np.arange(frames))
        for kind, slot in zip(kinds, pick_slots(frames, len(kinds), rng), strict=True):
            actors += EVENTS[kind](stage, slot, rng)
        truths = {frame: truth for frame in range(frames) if (truth := find_truth(camera, actors, frame))}
        first = int(rng.integers(LATE_STARTS)) if rng.random() < 0.5 else 0
        corruption = draw_kinds(frames, config.corruption, rng)
        kept = np.flatnonzero(corruption != "missing")
        if 0 < np.isin(kept, list(truths)).sum() < len(kept):
            return Plan(actors, truths, corruption, first + np.arange(frames))
    raise DataError(
        f"test video {video + 1:02d} of the sample has no normal or no anomalous frame in {PLANS} attempts; "
        f"raise min_frames={config.min_frames} or lower corruption.missing={config.corruption.missing}"
    )


def _write_truth(folder: Path, name: str, plan: Plan) -> None:
    """Labels, masks and tracks of the frames that are not missing."""
    masks = folder / "test_masks" / name
    for made in (masks, folder / "test_labels", folder / "test_tracks"):
        made.mkdir(parents=True, exist_ok=True)
    labels, tracks = [], []
    for position in np.flatnonzero(plan.kinds != "missing"):
        number, truth = int(plan.numbers[position]), plan.truths.get(int(position))
        labels.append((number, int(truth is not None)))
        if truth is not None:
            _write(masks / f"frame_{number:05d}.png", truth.mask, [])
            tracks += [(track, number, *box) for track, box in truth.boxes.items()]
    pd.DataFrame(labels, columns=["frame", "label"]).to_csv(folder / "test_labels" / f"{name}.csv", index=False)
    table = pd.DataFrame(tracks, columns=["track_id", "frame", "x1", "y1", "x2", "y2"])
    table.sort_values(["track_id", "frame"]).to_csv(folder / "test_tracks" / f"{name}.csv", index=False)


def _write(path: Path, image: np.ndarray, options: list[int]) -> None:
    if not cv2.imwrite(str(path), image, options):
        raise DataError(f"{path} can't be written; is the disk full, or the folder read-only?")
