"""Stage `evaluate`: frame metrics of each detector and of the fusion, where the data set has labels.

Every evaluation on labels is added to evaluations.jsonl: nothing may be chosen on them unseen.
"""

import json
import logging
import time
from typing import Any

import numpy as np
import pandas as pd

from pixelplay.artifacts import (
    RunFiles,
    code_version,
    fingerprint,
    is_current,
    read_json,
    read_table,
    recorded,
    write_json,
)
from pixelplay.config import Config
from pixelplay.errors import MissingArtifactError
from pixelplay.scores.fuse import FUSED
from pixelplay.stages import fuse, prepare
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

log = logging.getLogger(__name__)

FIGURES = {"AP": "ap", "AUC micro": "auc_micro", "AUC macro": "auc_macro", "EER": "eer"}


def pending(config: Config) -> str | None:
    files = RunFiles.of(config)
    index = prepare.load_index(config)
    if not _labelled(index):
        return None
    return None if is_current(files.record("evaluate"), _inputs(config, index)) else "the scores have changed"


def run(config: Config) -> None:
    files = RunFiles.of(config)
    index = prepare.load_index(config)
    videos = _labelled(index)
    if not videos:
        files.metrics.unlink(missing_ok=True)
        log.info(f"evaluate: no labels on disk for {index.dataset}: nothing to measure. Submission: {files.submission}")
        return
    if len(videos) < len(index.test):
        log.info(f"evaluate: {len(videos)} of {len(index.test)} test videos have labels; the others do not count")
    if not fuse.is_fused(config, index):
        raise MissingArtifactError(
            f"{files.fused}: no fusion made with these settings: run `python src/fuse.py` with the same options"
        )
    key = _inputs(config, index)
    if not is_current(files.record("evaluate"), key):
        with recorded(files.record("evaluate"), key, [files.metrics]):
            metrics = _measure(config, files, videos)
            write_json(files.metrics, metrics)
            _log_evaluation(files, config, metrics)
    _show(read_json(files.metrics, made_by="evaluate"), files)


def _inputs(config: Config, index: Index) -> str:
    labels = [(video.id, video.labels.tolist()) for video in _labelled(index) if video.labels is not None]
    code = [code_version(__name__, follow=False), code_version("pixelplay.metrics.frames")]
    return fingerprint(fuse.inputs(config, index), labels, code)


def _labelled(index: Index) -> list[Video]:
    return [video for video in index.test if video.labels is not None]


def _measure(config: Config, files: RunFiles, videos: list[Video]) -> dict[str, Any]:
    processed = _by_stream(read_table(files.fused, "fuse"))
    fused = _figures(processed[FUSED], videos)
    result: dict[str, Any] = {"frames": fused.pop("frames"), "prevalence": fused.pop("prevalence"), "detectors": {}}
    for name in config.detectors:
        raw = read_table(files.scores(name), "score")
        unsmoothed = _by_stream(raw[raw["split"] == "test"])
        streams = {stream: _figures(processed[stream], videos) for stream in unsmoothed}
        for stream, figures in streams.items():
            figures["unsmoothed"] = _figures(unsmoothed[stream], videos)
        result["detectors"][name] = {**streams.pop(name), "streams": streams}
    return {**result, "fused": fused}


def _figures(scores: pd.Series, videos: list[Video]) -> dict[str, Any]:
    """Metrics of one stream's scores, indexed by (video, frame), against the labels of `videos`."""
    from pixelplay.metrics.frames import frame_metrics  # scikit-learn is slow to import, and often nothing has changed

    rows = [(video.id, int(number)) for video in videos for number in video.numbers]
    labels = np.concatenate([video.labels for video in videos if video.labels is not None])
    ids = np.array([video for video, _ in rows])
    return frame_metrics(scores.loc[rows].to_numpy(), labels, ids).as_dict()


def _by_stream(table: pd.DataFrame) -> dict[str, pd.Series]:
    return {str(s): rows.set_index(["video", "frame"])["score"] for s, rows in table.groupby("stream", sort=False)}


def _log_evaluation(files: RunFiles, config: Config, metrics: dict[str, Any]) -> None:
    line = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "config": fingerprint(config.model_dump()),
        "frames": metrics["frames"],
        "fused": metrics["fused"],
        "detectors": {n: {k: d[k] for k in FIGURES.values()} for n, d in metrics["detectors"].items()},
    }
    with open(files.evaluations, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _show(metrics: dict[str, Any], files: RunFiles) -> None:
    rows = {name: figures for name, figures in metrics["detectors"].items()}
    rows |= {s: f for detector in metrics["detectors"].values() for s, f in detector["streams"].items()}
    rows["fused"] = metrics["fused"]
    table = pd.DataFrame(
        {head: ["-" if f[key] is None else f"{f[key]:.4f}" for f in rows.values()] for head, key in FIGURES.items()},
        index=list(rows),
    )
    log.info(
        f"\n{metrics['frames']:,} labelled test frames, {metrics['prevalence']:.4f} of them anomalous "
        f"(the AP of random scores); AUC macro over {metrics['fused']['macro_videos']} videos\n\n"
        f"{table.to_string()}\n\nmetrics: {files.metrics}\nsubmission: {files.submission}"
    )
