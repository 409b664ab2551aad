"""The last part of `prepare`: pseudo-anomalies are planted, decoded, restored like test footage, listed and shown."""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd

from pixelplay.drawing.annotate import enlargement
from pixelplay.progress import progress_bar
from pixelplay.restoration import dataset as restoring
from pixelplay.run.artifacts import csv_text, read_csv, write_text
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import fingerprint
from pixelplay.synthetic.pseudo.clips import Clip, render_clips
from pixelplay.videos.cache import FrameCache, source_key
from pixelplay.videos.decoded import bytes_needed, require_space
from pixelplay.videos.index import Index
from pixelplay.videos.restoration_table import read_restoration
from pixelplay.videos.settings import CorruptionConfig, FrameFormat
from pixelplay.videos.truth import VideoTruth, read_label_files, read_truth
from pixelplay.videos.video import Video

if TYPE_CHECKING:  # importing them imports torch
    from pixelplay.config import Config
    from pixelplay.restoration.restore import Restoration

log = logging.getLogger(__name__)

VERSION = 2  # raised when the same settings give other clips
SHOWN = 640  # pixels of width of a frame in the picture, about
OUTLINE = (255, 60, 60)  # RGB
CLEAN = CorruptionConfig(flip=0.0, heavy=0.0, light=0.0, missing=0.0, heavy_sd=0.0, light_sd=0.0)
COLUMNS = ("video", "kind", "seed", "frames", "first", "last", "source", "source_first", "source_last", "left_out")


def add_clips(
    config: "Config", index: Index, formats: Sequence[FrameFormat], folder: Path
) -> tuple[Index, list[VideoTruth]]:
    """The index with its clips, made in `folder`, and their truth; writes the tables and the picture of them."""
    files = RunFiles.of(config)
    for path in (files.pseudo_clips, files.pseudo_restoration, files.pseudo_sheet):
        path.unlink(missing_ok=True)
    if not (config.pseudo.kinds and config.pseudo.seeds):
        return index, []
    corruption = CLEAN
    if config.pseudo.corrupted:  # as the test footage of this run was found to be
        corruption = estimate_corruption(read_restoration(files.restoration), config.restore.noise_above)
    clips = _render(config, index, corruption, folder / f"pseudo-{_key(config, index, corruption)}", formats)
    write_text(files.pseudo_clips, csv_text([COLUMNS, *map(_row, clips)]))
    for clip in clips:
        if clip.left_out:
            log.warning(f"prepare: pseudo-anomaly {clip.id} left out: {clip.left_out}")
    made = [clip for clip in clips if not clip.left_out]
    if not made:
        return index, []
    cache = FrameCache(made[0].folder.parent.parent)
    raws = [clip.raw() for clip in made]
    decoded = cache.fill(raws, list(formats), config.dataset.max_unreadable, config.workers or os.cpu_count() or 1)
    results = restoring.restore_videos(config, index, [one.video for one in decoded], formats)
    restoring.write_found(config, files.pseudo_restoration, results)
    videos = [one.after for one in results]
    labels = read_label_files(raws)
    truth = [read_truth(raw, video, labels[raw.id])[0] for raw, video in zip(raws, videos, strict=True)]
    _show(files.pseudo_sheet, made, videos, truth)
    _summarise(made, results, files)
    key = fingerprint([source_key(raw, cache.digests) for raw in raws], restoring.decisive(config))
    return replace(index, pseudo=videos, pseudo_key=key), truth


def outputs(config: "Config", index: Index) -> list[Path]:
    """The files beside the index and the frames that must exist after `add_clips`."""
    files = RunFiles.of(config)
    listed = [files.pseudo_clips] if config.pseudo.kinds and config.pseudo.seeds else []
    return [*listed, files.pseudo_restoration, files.pseudo_sheet] if index.pseudo else listed


def kinds_of_clips(files: RunFiles) -> dict[str, str]:
    """The kind of anomaly of each clip in pseudo_anomalies.csv; raises Missing- or DamagedArtifactError."""
    table = read_csv(files.pseudo_clips, dict.fromkeys(COLUMNS, str), made_by="prepare")
    return dict(zip(table["video"], table["kind"], strict=True))


def estimate_corruption(found: pd.DataFrame, above: float) -> CorruptionConfig:
    """Shares of flipped, heavily and lightly noisy frames, and the two levels of the noise, in grey levels of 255.

    `found`: a row per test frame with the columns flipped (0 or 1) and noise_level; above a level of `above` a frame is
    noisy. Flipped frames count as flipped only. Missing frames are not counted: numbers don't tell them from frames
    that were never taken. Raises ValueError for an empty table.
    """
    if found.empty:
        raise ValueError("there is no test frame to estimate the corruption from")
    flipped, levels = found["flipped"] > 0, found["noise_level"].astype(np.float64)
    light, heavy = two_levels(levels[(levels > above) & ~flipped].to_numpy())
    return CorruptionConfig(
        flip=round(float(flipped.mean()), 6),
        heavy=round(len(heavy) / len(found), 6),
        light=round(len(light) / len(found), 6),
        missing=0.0,
        heavy_sd=round(float(heavy.mean()), 2) if len(heavy) else 0.0,
        light_sd=round(float(light.mean()), 2) if len(light) else 0.0,
    )


def two_levels(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values, float (N,), in a low and a high group, with the least sum of squared distances to their means.

    Exact, since optimal groups on a line are contiguous (Fisher, On Grouping for Maximum Homogeneity, JASA 1958). If
    there is only one value, all are high.
    """
    ordered = np.sort(values)
    if len(ordered) < 2 or ordered[0] == ordered[-1]:
        return ordered[:0], ordered
    low = np.arange(1, len(ordered))  # size of the lower group
    sums = np.cumsum(ordered)
    between = sums[:-1] ** 2 / low + (sums[-1] - sums[:-1]) ** 2 / (len(ordered) - low)  # all that depends on the cut
    cut = int(low[between.argmax()])
    return ordered[:cut], ordered[cut:]


def _key(config: "Config", index: Index, corruption: CorruptionConfig) -> str:
    """Of the held-out footage, and everything else that decides what is made of it; not of the detectors."""
    heldout = [(video.id, video.key, video.start, len(video), video.size) for video in index.held.planting]
    around = [(video.id, video.key) for video in index.train]
    return fingerprint(heldout, around, config.pseudo.model_dump(), corruption.model_dump(), VERSION)


def _render(
    config: "Config", index: Index, corruption: CorruptionConfig, folder: Path, formats: Sequence[FrameFormat]
) -> list[Clip]:
    settings, folder, workers = config.pseudo, folder / "clips", config.workers or os.cpu_count() or 1
    count = len(settings.kinds) * len(settings.seeds)
    if not folder.is_dir():
        width, height = max(video.size for video in index.train)
        frames = count * settings.frames
        needed = bytes_needed(frames, list(formats)) + frames * width * height * 3
        require_space(config.paths.cache, needed, "paths.cache")
    with progress_bar(count, "clip", "planting pseudo-anomalies") as bar:
        return render_clips(index.held.planting, index.train, settings, corruption, folder, workers, bar.update)


def _row(clip: Clip) -> tuple[str | int, ...]:
    """Of pseudo_anomalies.csv; `first` and `last` are the numbers of the first and last anomalous frame."""
    shown = clip.shown
    made = (len(shown), clip.first, clip.stop - 1, clip.source, min(shown), max(shown)) if shown else ("",) * 6
    return (clip.id, clip.kind, clip.seed, *made, clip.left_out or "")


def _show(path: Path, clips: Sequence[Clip], videos: Sequence[Video], truth: Sequence[VideoTruth]) -> None:
    """A row per kind: frames of its first clip, as detectors see them, with the anomaly outlined."""
    from pixelplay.drawing.panels import View, write_panels

    rows: dict[str, list[View]] = {}
    for clip, video, known in zip(clips, videos, truth, strict=True):
        if clip.kind not in rows:
            first, last = clip.first, clip.stop - 1
            chosen = {first - 1, first, (2 * first + last) // 3, (first + 2 * last) // 3, last, last + 1}
            rows[clip.kind] = [
                View(_outlined(frame, known, t), f"{video.id}, frame {t} ({clip.source}, {clip.shown[t]})")
                for t, frame in enumerate(video.full_size())
                if t in chosen
            ]
    title = "Pseudo-anomalies, outlined: frames before, during and after each"
    write_panels(path, list(rows.values()), title)


def _outlined(frame: np.ndarray, truth: VideoTruth, t: int) -> np.ndarray:
    """A frame with an outline around its mask, enlarged so that the line is thin."""
    assert truth.masks is not None
    mask = truth.masks.at(t).astype(np.uint8)
    factor = enlargement(truth.masks.size, SHOWN)
    large, outlined = (image.repeat(factor, axis=0).repeat(factor, axis=1) for image in (mask, frame))
    around = cv2.dilate(large, np.ones((7, 7), np.uint8)) > cv2.dilate(large, np.ones((3, 3), np.uint8))
    return np.where(around[..., None], np.array(OUTLINE, np.uint8), outlined)


def _summarise(clips: Sequence[Clip], results: "Sequence[Restoration]", files: RunFiles) -> None:
    anomalous = sum(clip.stop - clip.first for clip in clips)
    drawn = np.concatenate([clip.corruption for clip in clips])
    kinds = len({clip.kind for clip in clips})
    flipped, turned = drawn == "flip", np.concatenate([one.flipped for one in results])
    log.info(
        f"prepare: {len(clips)} clips with pseudo-anomalies of {kinds} kinds, {len(drawn):,} "
        f"frames, {anomalous:,} of them anomalous; {flipped.sum()} flipped ({(flipped & turned).sum()} corrected, "
        f"{(turned & ~flipped).sum()} upright ones turned), {np.isin(drawn, ('heavy', 'light')).sum()} noisy, as in "
        f"the test footage: {files.pseudo_sheet}"
    )
