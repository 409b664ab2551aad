"""Stage `evaluate`: how well scores agree with the truth, where the data set has any: frames, boxes, thresholds.

Frame labels come first: without them nothing is measured. Every evaluation on labels is added to evaluations.jsonl:
nothing may be chosen on them unseen.
"""

import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pixelplay.config import Config
from pixelplay.console import RESULTS
from pixelplay.evaluation import ledger
from pixelplay.evaluation.members import of_single_seeds, unsmoothed_of
from pixelplay.evaluation.score_tables import read_fused, scored_names
from pixelplay.evaluation.speed import frames_per_second
from pixelplay.metrics.published import Protocol, published_figures, published_table
from pixelplay.report.metrics_text import metrics_text, published_text
from pixelplay.run.artifacts import append_json, read_json, write_json
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import file_digests, fingerprint
from pixelplay.run.stage import Stage, Task, forget, read_record
from pixelplay.run.weights_and_biases import log_run
from pixelplay.scores.fuse import FUSED, detector_of
from pixelplay.stages import events, train
from pixelplay.videos.index import Index, load_index
from pixelplay.videos.restoration_table import read_restoration
from pixelplay.videos.truth import Labelled, Truth, load_labels, truth_files

log = logging.getLogger(__name__)

VERSION = 3  # raised when the same scores and truth give other metrics or pictures
CORRUPTED = 0.01  # share of flipped or noisy test frames from which on they are not those of the published data
LOGGED = ("ap", "auc_micro", "auc_macro", "eer")


def tasks(config: Config) -> list[Task]:
    """One task, or none where no test video has labels."""
    index, files = load_index(config), RunFiles.of(config)
    truth = load_labels(config, index)
    published = [asdict(figure) for figure in published_figures(config.dataset.name)]
    found = events.events_task(config)  # which reads what `fuse` made
    measured = {"evaluate": config.evaluate.model_dump(), "thresholds": config.events.thresholds.model_dump()}
    odd = {"noise_share": config.dataset.noise_share, "noisy_above": config.restore.noise_above}
    task = Task(
        stage="evaluate",
        name="evaluate",
        files=files,
        version=VERSION,
        settings={**measured, "corrupted": odd, "published": fingerprint(published)},
        contents=lambda: file_digests(truth_files(files.truth, "test")),
        work=lambda: _evaluate(config, files, index, truth),
        reads=[*found.reads, found],
    )
    return [task] if truth.labelled else []


STAGE = Stage("evaluate", tasks)


def pending(config: Config) -> str | None:
    """Why there is work to do: metrics, or the tables that `export` asks for."""
    return STAGE.pending(config) or ("export asks for tables" if config.export else None)


def run(config: Config) -> None:
    files, index = RunFiles.of(config), load_index(config)
    truth = load_labels(config, index)
    if not truth.labelled:
        _without_labels(config, files, index, truth)
        log_run(config, "evaluate")
        return
    if len(truth.labelled) < len(index.test):
        log.info(
            f"evaluate: {len(truth.labelled)} of {len(index.test)} test videos have labels; the others do not count"
        )
    STAGE.run(config)
    metrics = read_json(files.metrics, made_by="evaluate")
    text = metrics_text(metrics, frames_per_second(config, index))
    RESULTS.info(f"\n{text}\n\nmetrics: {files.metrics}\nsubmission: {files.submission}")
    if config.export:
        _export(config)
    log_run(config, "evaluate")


def _export(config: Config) -> None:
    from pixelplay.evaluation.paper import write_tables  # as above

    for path in write_tables(config):
        log.info(f"evaluate: {path}")


def _without_labels(config: Config, files: RunFiles, index: Index, truth: Truth) -> None:
    """Say so; metrics and pictures of a run with labels must not pass for this one's."""
    forget(files.record("evaluate"))
    log.info(f"evaluate: no labels on disk for {index.dataset}: nothing to measure")
    RESULTS.info(f"submission: {files.submission}")
    if config.export:
        log.warning(f"evaluate: export={config.export}: without metrics there is no table")
    if any(one.has_regions for one in truth.values()):
        log.info("evaluate: there are masks or tracks, which are measured where frame labels stand beside them")
    if published := published_figures(config.dataset.name):
        RESULTS.info(published_text([asdict(figure) for figure in published]))


def _evaluate(config: Config, files: RunFiles, index: Index, truth: Truth) -> list[Path]:
    metrics = _measure(config, files, index, truth)
    write_json(files.metrics, metrics)
    _log_evaluation(files, config, metrics)
    ledger.note(config, index, metrics["fused"]["ap"])
    pictures = [files.thresholds / f"{name}.png" for name in (*scored_names(config), FUSED)]
    drawn = [name for name, rates in metrics["thresholds"].items() if rates]
    return [files.metrics, *(path for path in pictures if path.stem in drawn and path.exists())]


def _measure(config: Config, files: RunFiles, index: Index, truth: Truth) -> dict[str, Any]:
    from pixelplay.evaluation.measured_events import measure_events
    from pixelplay.evaluation.objects import measure_objects  # SciPy is slow to import, and often nothing has changed
    from pixelplay.evaluation.per_video import per_video

    videos, table = truth.labelled, read_fused(config, index)
    processed = _by_stream(table[table["split"] == "test"])
    fused = _figures(processed[FUSED], videos, config)
    result: dict[str, Any] = {"frames": fused.pop("frames"), "prevalence": fused.pop("prevalence"), "detectors": {}}
    unsmoothed = {s: _by_stream(rows[rows["split"] == "test"])[s] for s, rows in unsmoothed_of(config, index).items()}
    for name in scored_names(config):
        own = [stream for stream in unsmoothed if detector_of(stream) == name]
        streams = {stream: _figures(processed[stream], videos, config) for stream in own}
        for stream, figures in streams.items():
            figures["unsmoothed"] = _figures(unsmoothed[stream], videos)
        result["detectors"][name] = {
            **streams.pop(name),
            "parameters": _parameters(config, files, name),
            "streams": streams,
        }
        if config.seeds and name in config.detectors:
            result["detectors"][name]["seeds"] = _over_seeds(config, name, index, videos)
    result["external"] = {name: _figures(processed[name], videos, config) for name in config.fusion.external_files}
    result["fused"] = fused
    result["videos"] = per_video(processed, [*scored_names(config), *config.fusion.external_files, FUSED], videos)
    result["events"] = measure_events(config, index, videos, processed[FUSED])
    result["objects"] = measure_objects(config, files, index.test, truth)
    wanted = [*scored_names(config), FUSED] if "thresholds" in config.evaluate.metrics else []
    result["thresholds"] = {
        name: _alarms(config, files, name, table[table["stream"] == name], videos) for name in wanted
    }
    result["published"] = _beside_published(config, result, len(videos))
    return result


def _over_seeds(config: Config, name: str, index: Index, videos: list[Labelled]) -> dict[str, Any]:
    """Figures of a detector's default stream with each seed, and their mean and standard deviation (of a sample)."""
    of_seeds = {
        seed: _figures(_by_stream(table[table["split"] == "test"])[name], videos)
        for seed, table in of_single_seeds(config, name, index).items()
    }
    each = pd.DataFrame.from_dict(of_seeds, orient="index", dtype=object)[[*LOGGED]].astype(float)
    return {
        figure: {"mean": float(values.mean()), "deviation": float(values.std()), "seeds": values.tolist()}
        for figure, values in each.items()
        if values.notna().all()
    }


def _beside_published(config: Config, result: dict[str, Any], videos: int) -> list[dict[str, Any]]:
    """Figures of others, with those of the detectors and of the fusion ranked among them where they may be."""
    objects = result["objects"]
    ours = {**result["detectors"], FUSED: result["fused"]}
    for detector in objects.get("detectors", {}).values():
        ours |= {name: ours.get(name, {}) | of.get("region", {}) for name, of in detector["streams"].items()}
    known = objects.get("videos", {})
    tracked = known.get("tracks", 0) + known.get("normal", 0)
    protocol = Protocol(videos, result["frames"], tracked, config.checkpoints_of, _is_corrupted(config))
    return published_table(config.dataset.name, ours, protocol)


def _is_corrupted(config: Config) -> bool:
    """Whether test frames are flipped or noisy that are not so by their data set's own making."""
    found = read_restoration(RunFiles.of(config).restoration)
    odd = (found["flipped"] > 0) | (found["noise_level"] > config.restore.noise_above)
    return config.dataset.noise_share == 0 and bool(odd.mean() > CORRUPTED)


def _figures(scores: pd.Series, videos: list[Labelled], config: Config | None = None) -> dict[str, Any]:
    """Metrics of one stream's scores, indexed by (video, frame), against the labels of `videos`.

    With their intervals where a configuration says how to draw them.
    """
    from pixelplay.metrics.frames import frame_metrics, intervals

    places = [place for one in videos for place in one.places]
    labels = np.concatenate([one.labels for one in videos])
    values, ids = scores.loc[places].to_numpy(), np.array([video for video, _ in places])
    figures = frame_metrics(values, labels, ids)
    if config is None:
        return figures
    return {**figures, "intervals": intervals(values, labels, ids, config.evaluate.bootstrap)}


def _alarms(
    config: Config, files: RunFiles, name: str, table: pd.DataFrame, videos: list[Labelled]
) -> dict[str, dict[str, Any]]:
    """What each threshold is worth for one stream's scores, a table with the splits test and calibration."""
    from pixelplay.events.alarms import LabelledScores, alarm_rates
    from pixelplay.report.thresholds import write_threshold_fit

    normal = [
        rows.sort_values("frame")["score"].to_numpy(np.float64)
        for _, rows in table[table["split"] == "calibration"].groupby("video", sort=False)
    ]
    scores = table[table["split"] == "test"].set_index(["video", "frame"])["score"]
    test = [LabelledScores(scores.loc[one.places].to_numpy(np.float64), one.labels) for one in videos]
    found = alarm_rates(normal, test, config.dataset.name, config.events.thresholds, config.evaluate.bootstrap)
    if normal:
        write_threshold_fit(files.thresholds / f"{name}.png", np.concatenate(normal), found, name)
    return found


def _parameters(config: Config, files: RunFiles, name: str) -> int | None:
    """How many parameters a trained detector has; None where that is not known."""
    record = read_record(files.record(train.record_name(name, config.trained_seeds[0])))
    return record.about.get("parameters") if record else None


def _by_stream(table: pd.DataFrame) -> dict[str, pd.Series]:
    return {str(s): rows.set_index(["video", "frame"])["score"] for s, rows in table.groupby("stream", sort=False)}


def _log_evaluation(files: RunFiles, config: Config, metrics: dict[str, Any]) -> None:
    line = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "config": fingerprint(config.model_dump()),
        "frames": metrics["frames"],
        "fused": metrics["fused"],
        "detectors": {n: {k: d[k] for k in LOGGED} for n, d in metrics["detectors"].items()},
        "objects": metrics["objects"].get("detectors", {}),
        "events": metrics["events"],
    }
    append_json(files.evaluations, line)
