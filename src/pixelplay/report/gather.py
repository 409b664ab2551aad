"""What stage `report` puts on its page, gathered from the run's artefacts; what is seen in frames is in `picturing`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pixelplay.ablation.summary import read_introduction
from pixelplay.ablation.tables import PICTURES, TITLES
from pixelplay.evaluation.score_tables import read_fused
from pixelplay.evaluation.speed import frames_per_second
from pixelplay.report import gallery
from pixelplay.report.distributions import (
    Curve,
    Distribution,
    curve_style,
    histogram,
    precision_recall_chart,
    roc_chart,
)
from pixelplay.report.page import (
    Ablation,
    Curves,
    Gallery,
    Histogram,
    Report,
    StreamFigure,
    VideoPanel,
    png_uri,
)
from pixelplay.report.run_facts import run_facts
from pixelplay.report.tables import NONE, csv_table, number_text, other_tables, score_tables
from pixelplay.report.timelines import Peak, Scale, ScoredVideo, timeline
from pixelplay.restoration import dataset as restoring
from pixelplay.run.artifacts import damaged, read_json
from pixelplay.run.files import RunFiles
from pixelplay.scores.fuse import FUSED
from pixelplay.stages.report import ablation_files, ablation_is_of, threshold_files
from pixelplay.videos.index import Index
from pixelplay.videos.truth import load_labels

if TYPE_CHECKING:
    from pixelplay.config import Config

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Outcome:
    """The test videos of a run with the scores that enter the submission."""

    index: Index
    videos: list[ScoredVideo]  # in the order of index.test
    streams: list[str]  # of their charts: each detector's, in its configured order, without the fusion
    scale: Scale


def load_outcome(config: "Config", index: Index) -> Outcome:
    """Read fused.parquet and restoration.csv; raises MissingArtifactError or PixelPlayError where one can't be read."""
    files = RunFiles.of(config)
    table = _of_split(read_fused(config, index), "test")
    streams = [s for s in dict.fromkeys(table["stream"]) if s != FUSED and ("/" not in s or s in config.fusion.members)]
    shown = table[table["stream"].isin([*streams, FUSED])]
    scores = {(str(v), str(s)): rows.set_index("frame")["score"] for (v, s), rows in shown.groupby(["video", "stream"])}
    restoration = {
        str(video): rows.set_index("frame")
        for video, rows in restoring.read_restoration(files.restoration).groupby("video")
    }
    videos, truth = [], load_labels(config, index)
    for i, video in enumerate(index.test):
        of_stream = {s: scores[video.id, s].loc[video.numbers].to_numpy(np.float64) for s in [*streams, FUSED]}
        found = restoration[video.id].loc[video.numbers]
        videos.append(
            ScoredVideo(
                video=video.id,
                anchor=f"video-{i + 1}",
                numbers=video.numbers,
                fused=of_stream.pop(FUSED),
                streams=of_stream,
                labels=truth[video.id].labels,
                turned=found["flipped"].to_numpy() > 0,
                noisy=found["noise_level"].to_numpy(np.float64) > config.restore.noise_above,
                seconds=video.seconds,
            )
        )
    return Outcome(index, videos, streams, Scale.of(videos))


def gather(config: "Config", outcome: Outcome) -> Report:
    """All that the page of the run shows."""
    files = RunFiles.of(config)
    labelled = [one for one in outcome.videos if one.labels is not None]
    metrics = read_json(files.metrics, "evaluate") if labelled else None
    chosen = gallery.gallery_frames(outcome.videos, config.report)
    name = f"{config.experiment}/{config.run}" if config.run else config.experiment
    return Report(
        title=f"PixelPlay: {name}",
        subtitle=_subtitle(config, outcome, len(labelled)),
        headline=_headline(outcome, metrics),
        scores=score_tables(_with_speeds(config, outcome.index, metrics)) if metrics else [],
        other_figures=other_tables(metrics) if metrics else [],
        thresholds=_plots(threshold_files(files), made_by="evaluate") if metrics else [],
        videos=list(_panels(config, outcome, chosen)),
        streams=[*((s, curve_style(s, i)) for i, s in enumerate(outcome.streams)), (FUSED, FUSED)],
        one_scale=outcome.scale.shared,
        gallery=gallery.gallery(config, outcome.index, outcome.videos, chosen) if chosen else Gallery([], []),
        curves=_curves(outcome, labelled, metrics) if metrics and "reason" not in metrics["fused"] else None,
        histograms=[
            Histogram(one.stream, histogram(one, f"histogram-{i}"))
            for i, one in enumerate(_distributions(config, outcome))
        ],
        ablation=_ablation(config, files),
        facts=run_facts(config),
    )


def _subtitle(config: "Config", outcome: Outcome, labelled: int) -> str:
    if labelled == len(outcome.videos):
        return f"Data set {config.dataset.name}, with labels for every test video"
    if labelled:
        return f"Data set {config.dataset.name}, with labels for {labelled} of {len(outcome.videos)} test videos"
    return f"Data set {config.dataset.name}: no labels on disk, so nothing is measured; what the detectors say is below"


def _headline(outcome: Outcome, metrics: dict[str, Any] | None) -> list[tuple[str, str]]:
    frames = sum(len(one.numbers) for one in outcome.videos)
    size = [(f"{frames:,}", f"test frames in {len(outcome.videos)} videos")]
    if metrics is None:
        turned, noisy = (sum(int(getattr(one, mark).sum()) for one in outcome.videos) for mark in ("turned", "noisy"))
        return [*size, (f"{turned:,}", "found flipped, turned back"), (f"{noisy:,}", "noisy")]
    fused = metrics["fused"]
    names = (("ap", "AP of the fusion"), ("auc_micro", "AUC micro"), ("auc_macro", "AUC macro"), ("eer", "EER"))
    figures = [(number_text(fused[key]), what) for key, what in names if fused.get(key) is not None]
    missing = [(NONE, fused["reason"])] if "reason" in fused else []
    anomalous = "of the frames anomalous" + (": AP by chance" if figures else "")
    return [*figures, *missing, (number_text(metrics["prevalence"]), anomalous), *size]


def _panels(config: "Config", outcome: Outcome, chosen: Sequence[tuple[int, int]]) -> Iterator[VideoPanel]:
    files = RunFiles.of(config)
    for i, one in enumerate(outcome.videos):
        peaks = [Peak(t, rank, f"peak-{rank}") for rank, (of, t) in enumerate(chosen, 1) if of == i]
        facts = [f"{len(one.numbers):,} frames, {one.numbers[0]} to {one.numbers[-1]}"]
        if one.seconds is not None and (fps := outcome.index.test[i].fps):
            facts.append(f"{one.seconds[-1]:.1f} s at {fps:.4g} frames per second")
        if one.labels is not None:
            facts.append(f"{int((one.labels > 0).sum()):,} labelled anomalous")
        clip = files.clip(one.video).relative_to(files.report.parent).as_posix()
        listed = one.video in config.report.clips
        yield VideoPanel(one.video, facts, timeline(one, outcome.scale, peaks), clip if listed else None)


def _curves(outcome: Outcome, labelled: Sequence[ScoredVideo], metrics: dict[str, Any]) -> Curves:
    from sklearn.metrics import precision_recall_curve, roc_curve

    labels = np.concatenate([one.labels for one in labelled if one.labels is not None])
    roc, precision_recall, key = [], [], []
    for i, stream in enumerate([*outcome.streams, FUSED]):
        scores = np.concatenate([one.fused if stream == FUSED else one.streams[stream] for one in labelled])
        false_positive, true_positive, _ = roc_curve(labels, scores)
        precision, recall, _ = precision_recall_curve(labels, scores, drop_intermediate=True)
        roc.append(Curve(stream, false_positive, true_positive))
        precision_recall.append(Curve(stream, recall[::-1], precision[::-1]))
        figures = metrics["fused"] if stream == FUSED else _figures_of(metrics, stream)
        auc, ap = (number_text(figures[k]) if figures.get(k) is not None else "" for k in ("auc_micro", "ap"))
        key.append(StreamFigure(stream, curve_style(stream, i), auc, ap))
    charts = [roc_chart(roc), precision_recall_chart(precision_recall, float((labels > 0).mean()))]
    return Curves(charts, key)


def _figures_of(metrics: dict[str, Any], stream: str) -> dict[str, Any]:
    detector = metrics["detectors"].get(stream.partition("/")[0], {})
    return detector.get("streams", {}).get(stream, {}) if "/" in stream else detector


def _distributions(config: "Config", outcome: Outcome) -> Iterator[Distribution]:
    """Scores of each detector's default stream and of the fusion, as the metrics measure them."""
    fused = read_fused(config, outcome.index)
    for name in [*config.detectors, FUSED]:
        table = fused[fused["stream"] == name]
        normal = _of_split(table, "calibration")["score"].to_numpy(np.float64)
        yield Distribution(name, {"held-out normal": normal, **_by_label(outcome, _of_split(table, "test"))})


def _by_label(outcome: Outcome, test: pd.DataFrame) -> dict[str, np.ndarray]:
    """Test scores of one stream, by the frames' labels where some videos have any: the others then do not count."""
    labelled = [one for one in outcome.videos if one.labels is not None]
    if not labelled:
        return {"test": test["score"].to_numpy(np.float64)}
    by_video = {str(video): rows.set_index("frame")["score"] for video, rows in test.groupby("video")}
    values = np.concatenate([by_video[one.video].loc[one.numbers].to_numpy(np.float64) for one in labelled])
    labels = np.concatenate([one.labels for one in labelled if one.labels is not None])
    return {"test, normal": values[labels == 0], "test, anomalous": values[labels > 0]}


def _of_split(table: pd.DataFrame, split: str) -> pd.DataFrame:
    return table[table["split"] == split]


def _with_speeds(config: "Config", index: Index, metrics: dict[str, Any]) -> dict[str, Any]:
    """The metrics with each detector's frames per second when it last scored, loading included."""
    speeds = frames_per_second(config, index)
    measured = {name: {"frames/s": speed} for name, speed in speeds.items()}
    detectors = {name: figures | measured.get(name, {}) for name, figures in metrics["detectors"].items()}
    return {**metrics, "detectors": detectors}


def _ablation(config: "Config", files: RunFiles) -> Ablation | None:
    found = ablation_files(files)
    if not found:
        return None
    told = read_introduction(files)
    if not ablation_is_of(config, files):
        told = [
            "Made with other settings than those of this page: `python src/ablate.py` with the same options.",
            *told,
        ]
    csvs = [path for path in found if path.suffix == ".csv"]
    tables = [replace(csv_table(path, made_by="ablate"), title=TITLES.get(path.stem, path.stem)) for path in csvs]
    pictures = [path for path in found if path.suffix == ".png"]
    return Ablation(told, tables, _plots(pictures, made_by="ablate", captions=PICTURES))


def _plots(paths: Sequence[Path], made_by: str, captions: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Names and contents of PNGs; raises DamagedArtifactError for a file that is none."""
    plots = []
    for path in paths:
        data = path.read_bytes()
        if not data.startswith(PNG):
            raise damaged(path, made_by, "no PNG")
        plots.append(((captions or {}).get(path.stem, path.stem.replace("_", " ")), png_uri(data)))
    return plots
