"""step=select: the clips to label or keep, as a manifest, a table with their scores and times, and a contact sheet.

Scores are calibrated by robust z-scores (pixelplay.scores), compared with a threshold learned from a baseline, and the
clips chosen to be unlike each other by greedy k-center (pixelplay.memory) or k-means on VideoMAE's embeddings, once
near-duplicates are left out.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pixelplay.errors import ConfigError, DataError
from pixelplay.memory.coreset import greedy_k_center
from pixelplay.mining.clip_videos import write_clip_videos
from pixelplay.mining.clips import Clip, write_clips
from pixelplay.mining.contact_sheet import write_sheet
from pixelplay.mining.duplicates import apart, distinct
from pixelplay.mining.files import ANY_CLIP, MiningFiles
from pixelplay.mining.score import each, load_model
from pixelplay.mining.score_file import KEYS, clips_of, places_of, read_scores, read_settings, settings_file
from pixelplay.mining.settings import MineConfig, SelectConfig
from pixelplay.run.artifacts import csv_text, write_json, write_text
from pixelplay.run.atomic import remove_files
from pixelplay.scores.normalise import robust_z
from pixelplay.scores.settings import NormaliseConfig

if TYPE_CHECKING:
    from pixelplay.config import Config

log = logging.getLogger(__name__)

COLUMNS = ["rank", "step", "scene", "camera", "start_seconds", "end_seconds", "score", "calibrated"]
COLUMNS += ["first_frame", "last_frame", "video"]  # of the CSV
ROBUST_Z = NormaliseConfig(method="robust_z", low=0.0, high=100.0, scope="all", clip=None, quantile=1.0, min_p=0.001)


def run(config: "Config", files: MiningFiles) -> None:
    """Choose clips and write them. Raises DataError if none is above the threshold."""
    select = config.mine.select
    table = read_scores(files.scores)
    scores, threshold = calibrated_and_threshold(table, files.scores, select)
    passing = above(scores, threshold)
    if not len(passing):
        raise DataError(
            f"none of {table['score'].notna().sum()} clips is above {threshold:.4g}, the {select.percentile:g}th "
            f"percentile of {select.baseline}: lower mine.select.percentile"
        )
    count = min(select.count or len(passing), len(passing))
    places = places_of(table.iloc[passing], files.clips, config.mine.frames)
    far, close = apart(places, select.min_gap, count * select.pool)
    candidates = passing[far]
    clips = clips_of(table.iloc[candidates], files.clips, config.mine.frames)
    unlike, chosen = _chosen(config, clips, count)
    rows = table.iloc[candidates[chosen]].assign(rank=range(1, len(chosen) + 1), calibrated=scores[candidates[chosen]])
    facts = {
        "clips": len(table),
        "unread": int(table["score"].isna().sum()),
        "above_threshold": len(passing),
        "threshold": threshold,
        "near_duplicates": close + len(clips) - unlike,
        "candidates": unlike,
        "selected": len(rows),
        "settings": json.loads(select.model_dump_json()),
    }
    write_selection(files, [clips[at] for at in chosen], rows, facts, config.mine)
    log.info(f"select: {len(rows)} of {len(table)} clips: {files.selected}, {files.sheet}")


def _chosen(config: "Config", clips: Sequence[Clip], count: int) -> tuple[int, np.ndarray]:
    """How many of the candidates, highest score first, are no near-duplicates, and the positions of those chosen."""
    select = config.mine.select
    if select.diversify == "none" or (count >= len(clips) and select.min_distance == 0):
        return len(clips), np.arange(min(count, len(clips)))
    _, model = load_model(config)
    embeddings = unit_length(list(each(model.embed, clips, config.mine.workers, "embed")))
    unlike = np.array(distinct(embeddings, [clip.camera for clip in clips], select.min_distance))
    return len(unlike), unlike[unlike_each_other(embeddings[unlike], count, select.diversify, select.seed)]


def write_selection(
    files: MiningFiles, clips: Sequence[Clip], rows: pd.DataFrame, facts: Mapping[str, Any], mine: MineConfig
) -> None:
    """The selected clips as a manifest, a JSON, a CSV, a page and, if `mine.select.mp4` says so, as videos.

    rows: their rows of `read_scores`, with their rank and calibrated score. Raises DataError for one that can no longer
    be read.
    """
    remove_files(files.clip_videos, f"{ANY_CLIP}.mp4")
    videos = write_clip_videos(files, clips, rows, mine) if mine.select.mp4 else {}
    spans = [clip.seconds for clip in clips]
    listed = rows[["rank", *KEYS, "calibrated"]].assign(seconds=spans).to_dict("records")
    write_clips(files.selected, clips)
    write_json(files.selection, {**facts, "selection": listed})
    lines: list[list[Any]] = [COLUMNS]
    for clip, row in zip(clips, rows.itertuples(), strict=True):
        start, end = clip.seconds or ("", "")
        scored = [row.score, row.calibrated, clip.frames[0], clip.frames[-1], videos.get(row.rank, "")]
        lines.append([row.rank, row.step, clip.scene, clip.camera, start, end, *scored])
    write_text(files.selection_table, csv_text(lines))
    write_sheet(files, clips, rows, facts, videos, mine)


def calibrated_and_threshold(table: pd.DataFrame, path: Path, select: SelectConfig) -> tuple[np.ndarray, float | None]:
    """Calibrated scores (N,), NaN for clips without one, and the threshold; None without a baseline.

    path: the file of the table. Raises ConfigError for a baseline that was scored with other settings.
    """
    if select.baseline is None:
        return calibrated(table, table, select.calibrate, select.min_group), None
    _require_comparable(path, select.baseline)
    baseline = read_scores(select.baseline)
    reference = calibrated(baseline, baseline, select.calibrate, select.min_group)
    threshold = float(np.percentile(reference[np.isfinite(reference)], select.percentile))
    return calibrated(table, baseline, select.calibrate, select.min_group), threshold


def calibrated(table: pd.DataFrame, reference: pd.DataFrame, by: str, min_group: int) -> np.ndarray:
    """Scores (N,) of a table of `read_scores`, each as a robust z-score within its group, the column `by`; NaN stays.

    Median and MAD of a group are those of its scores in `reference`, of those in `table` if `reference` has fewer than
    `min_group` of them, and of the whole `reference` if both have fewer. With by=none scores are unchanged.
    """
    scores = table["score"].to_numpy(np.float64)
    if by == "none":
        return scores
    everything = reference["score"].dropna().to_numpy(np.float64)
    known = {str(name): part.dropna().to_numpy(np.float64) for name, part in reference.groupby(by)["score"]}
    result = np.full(len(table), np.nan)
    for name, rows in table.reset_index(drop=True).groupby(by).groups.items():
        own = scores[rows]
        candidates = (known.get(str(name), np.empty(0)), own[np.isfinite(own)], everything)
        usual = next((part for part in candidates if len(part) >= min_group), everything)
        result[rows] = robust_z(usual, ROBUST_Z)(own)
    return result


def above(scores: np.ndarray, threshold: float | None) -> np.ndarray:
    """Positions of the finite scores (N,) above the threshold (None: all), highest first; equal ones stay in order."""
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")
    passing = np.isfinite(scores) if threshold is None else scores > threshold  # a NaN is above nothing
    return order[passing[order]]


def unlike_each_other(embeddings: np.ndarray, count: int, method: str, seed: int) -> np.ndarray:
    """Positions, ascending, of `count` embeddings, float32 (N, d), which are sorted by score, highest first.

    none: the first ones. k_center: the first, then always the one farthest from those taken. k_means: the first of each
    of `count` clusters.
    """
    count = min(count, len(embeddings))
    if method == "none" or count == len(embeddings):
        return np.arange(count)
    if method == "k_center":
        return np.sort(greedy_k_center(np.ascontiguousarray(embeddings), count, first=0, threads=1).indices)
    from sklearn.cluster import KMeans

    clusters = KMeans(count, n_init=10, random_state=seed).fit_predict(embeddings)
    first = np.unique(clusters, return_index=True)[1]  # fewer than `count` if embeddings are equal
    rest = np.setdiff1d(np.arange(len(embeddings)), first)
    return np.sort(np.concatenate([first, rest[: count - len(first)]]))


def unit_length(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """Vectors (d,) stacked to float32 (N, d) and normalised: distances then compare directions, not contrast."""
    stacked = np.stack(vectors).astype(np.float32)
    return stacked / np.maximum(np.linalg.norm(stacked, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _require_comparable(scores: Path, baseline: Path) -> None:
    ours, theirs = read_settings(scores), read_settings(baseline)
    if ours is None or theirs is None:
        unread = settings_file(scores if ours is None else baseline)
        log.warning(f"select: {unread} can't be read: {scores} and {baseline} may not be comparable")
        return
    differing = [key for key in ("model", "bf16", "mask", "version") if ours.get(key) != theirs.get(key)]
    if differing:
        raise ConfigError(
            f"mine.select.baseline={baseline} was scored with another {' and '.join(differing)} than {scores}: score "
            "both with the same settings"
        )
