"""step=select: the clips to label or keep, as a manifest, a JSON with their scores, and a contact sheet.

Scores are calibrated by robust z-scores (pixelplay.scores), compared with a threshold learned from a baseline, and the
clips chosen to be unlike each other by greedy k-center (pixelplay.memory) or k-means on VideoMAE's embeddings.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from pixelplay.drawing.annotate import data_uri, encoded, resized
from pixelplay.errors import ConfigError, DataError
from pixelplay.memory.coreset import greedy_k_center
from pixelplay.mining.clips import SECOND, Clip, ClipReader, write_clips
from pixelplay.mining.files import MiningFiles
from pixelplay.mining.score import each, load_model
from pixelplay.mining.score_file import KEYS, clips_of, read_scores, read_settings, settings_file
from pixelplay.mining.settings import MineConfig, SelectConfig
from pixelplay.report.page import TEMPLATES as REPORT
from pixelplay.report.page import html_templates
from pixelplay.run.artifacts import write_json, write_text
from pixelplay.scores.normalise import robust_z
from pixelplay.scores.settings import NormaliseConfig

if TYPE_CHECKING:
    from pixelplay.config import Config

log = logging.getLogger(__name__)

TEMPLATES = Path(__file__).resolve().parent / "templates"
STILLS = 4  # evenly spaced frames of a clip, side by side
ROBUST_Z = NormaliseConfig(method="robust_z", low=0.0, high=100.0, scope="all", clip=None, quantile=1.0, min_p=0.001)


def run(config: "Config", files: MiningFiles) -> None:
    """Choose clips and write them. Raises DataError if none is above the threshold."""
    select = config.mine.select
    table = read_scores(files.scores)
    scores, threshold = calibrated_and_threshold(table, files.scores, select)
    candidates = above(scores, threshold)
    if not len(candidates):
        raise DataError(
            f"none of {table['score'].notna().sum()} clips is above {threshold:.4g}, the {select.percentile:g}th "
            f"percentile of {select.baseline}: lower mine.select.percentile"
        )
    passed = len(candidates)
    count = min(select.count or passed, passed)
    candidates = candidates[: count * select.pool]
    clips = clips_of(table.iloc[candidates], files.clips, config.mine.frames)
    if select.diversify == "none" or count == len(clips):
        chosen = np.arange(count)
    else:
        _, model = load_model(config)
        embeddings = list(each(model.embed, clips, config.mine.workers, "embed"))
        chosen = unlike_each_other(unit_length(embeddings), count, select.diversify, select.seed)
    rows = table.iloc[candidates[chosen]].assign(rank=range(1, len(chosen) + 1), calibrated=scores[candidates[chosen]])
    facts = {
        "clips": len(table),
        "unread": int(table["score"].isna().sum()),
        "above_threshold": passed,
        "threshold": threshold,
        "candidates": len(candidates),
        "selected": len(rows),
        "settings": json.loads(select.model_dump_json()),
    }
    selected = [clips[at] for at in chosen]
    write_clips(files.selected, selected)
    write_json(files.selection, facts | {"selection": rows[["rank", *KEYS, "calibrated"]].to_dict("records")})
    write_sheet(files.sheet, selected, rows, facts, config.mine)
    log.info(f"select: {len(rows)} of {len(table)} clips: {files.selected}, {files.sheet}")


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


# --- the contact sheet -----------------------------------------------------------------------------------------------


def write_sheet(
    path: Path, clips: Sequence[Clip], rows: pd.DataFrame, facts: Mapping[str, Any], config: MineConfig
) -> None:
    """One HTML file that opens offline; text from data is escaped, and a content security policy blocks the rest."""
    reader = ClipReader(config.root)
    pairs = zip(clips, rows.itertuples(), strict=True)
    style = [REPORT / "page.css", TEMPLATES / "contact_sheet.css"]
    values = {
        "cards": [_card(clip, row, reader, config.select.picture_width) for clip, row in pairs],
        "facts": facts,
        "style": Markup("\n".join(file.read_text(encoding="utf-8") for file in style)),  # no data in them
    }
    write_text(path, html_templates(TEMPLATES).get_template("contact_sheet.html").render(values))


def _card(clip: Clip, row: Any, reader: ClipReader, width: int) -> dict[str, Any]:
    """What the template shows of a clip; raises DataError if it can no longer be read."""
    try:
        frames = [resized(frame, width) for frame in reader.read(clip)]
    except DataError as error:
        raise DataError(f"clip {row.step} was scored, but can no longer be read: {error}") from None
    times = clip.timestamps
    return {
        "clip": clip,
        "row": row,  # rank, step, score, calibrated
        "seconds": (times[-1] - times[0]) / SECOND if times else None,
        "strip": data_uri(encoded(np.concatenate(frames, axis=1))),  # all frames side by side
        "ratio": frames[0].shape[1] / frames[0].shape[0],
        "stills": np.linspace(0, len(frames) - 1, STILLS).round().astype(int).tolist(),  # positions
    }
