"""step=select: the clips to label or keep: a manifest that can be fed back, a JSON that says why, a contact sheet."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pixelplay.errors import ConfigError, DataError
from pixelplay.mining.choose import above, calibrated, unit_length, unlike_each_other
from pixelplay.mining.clips import Clip, write_clips
from pixelplay.mining.files import MiningFiles
from pixelplay.mining.local_engine import in_order
from pixelplay.mining.score import load_model
from pixelplay.mining.score_file import clips_of, read_scores, read_settings, settings_file
from pixelplay.mining.settings import SelectConfig
from pixelplay.progress import progress_bar
from pixelplay.run.artifacts import write_json

if TYPE_CHECKING:
    from pixelplay.config import Config

log = logging.getLogger(__name__)


def run(config: "Config", files: MiningFiles) -> None:
    """Choose clips and write them. Raises DataError when none is above the threshold."""
    from pixelplay.mining.contact_sheet import write_sheet

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
    chosen = _unlike(config, clips, count)
    rows = table.iloc[candidates[chosen]].assign(calibrated=scores[candidates[chosen]])
    facts = {
        "clips": len(table),
        "unread": int(table["score"].isna().sum()),
        "above_threshold": passed,
        "threshold": threshold,
        "candidates": len(candidates),
        "selected": len(rows),
        "settings": json.loads(select.model_dump_json()),
    }
    taken = [clips[at] for at in chosen]
    write_clips(files.selected, taken)
    write_json(files.selection, facts | {"selection": _as_json(rows)})
    write_sheet(files.sheet, taken, rows, facts, config.mine)
    log.info(f"select: {len(rows)} of {len(table)} clips: {files.selected}, {files.sheet}")


def calibrated_and_threshold(table: pd.DataFrame, path: Path, select: SelectConfig) -> tuple[np.ndarray, float | None]:
    """Calibrated scores (N,), NaN for clips without one, and what they must exceed; None without a baseline.

    path: where the table comes from. Raises ConfigError for a baseline that was scored in another way.
    """
    if select.baseline is None:
        return calibrated(table, table, select.calibrate, select.min_group), None
    _require_comparable(path, select.baseline)
    usual = read_scores(select.baseline)
    reference = calibrated(usual, usual, select.calibrate, select.min_group)
    threshold = float(np.percentile(reference[np.isfinite(reference)], select.percentile))
    return calibrated(table, usual, select.calibrate, select.min_group), threshold


def _require_comparable(scores: Path, baseline: Path) -> None:
    made = []
    for path in (settings_file(scores), settings_file(baseline)):
        try:
            made.append(read_settings(path))
        except (OSError, ValueError):
            log.warning(f"select: {path} can't be read: whether {scores} and {baseline} are comparable is not known")
            return
    differing = [key for key in ("model", "bf16", "mask", "code") if made[0].get(key) != made[1].get(key)]
    if differing:
        raise ConfigError(
            f"mine.select.baseline={baseline} was scored with another {' and '.join(differing)} than {scores}: score "
            "both with the same settings"
        )


def _unlike(config: "Config", clips: Sequence[Clip], count: int) -> np.ndarray:
    """Positions of `count` of the clips, which stand in the order of their scores."""
    select = config.mine.select
    if select.diversify == "none" or count == len(clips):
        return np.arange(count)
    _, model = load_model(config)
    embeddings = []
    with progress_bar(len(clips), "clip", "embed") as bar:
        for batch in in_order(model.embed, clips, 1, config.mine.workers):
            embeddings += [embedding for _, embedding in batch]
            bar.update(len(batch))
    return unlike_each_other(unit_length(embeddings), count, select.diversify, select.seed)


def _as_json(rows: pd.DataFrame) -> list[dict[str, Any]]:
    names = ["step", "scene", "camera", "first_frame", "score", "calibrated"]
    return [
        dict(zip(["rank", *names], [rank, *values], strict=True))
        for rank, values in enumerate(rows[names].itertuples(index=False), start=1)
    ]
