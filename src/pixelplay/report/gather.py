"""What the page shows, gathered from the run's artefacts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from pixelplay.ablation.summary import read_introduction
from pixelplay.ablation.tables import PICTURES, TITLES
from pixelplay.evaluation.score_tables import read_fused
from pixelplay.report.distributions import (
    Curve,
    Distribution,
    curve_style,
    histogram,
    precision_recall_chart,
    roc_chart,
)
from pixelplay.report.manifest import Manifest, Moment, image_uri, read_manifest
from pixelplay.report.outcome import Outcome, ScoredVideo, ablation_files, load_outcome, threshold_files
from pixelplay.report.page import (
    Ablation,
    Curves,
    GalleryItem,
    Histogram,
    Report,
    RunFacts,
    StageTime,
    StreamFigure,
    VideoPanel,
)
from pixelplay.report.tables import NONE, csv_table, number_text, other_tables, score_tables
from pixelplay.report.timelines import Peak, Scale, timeline
from pixelplay.run.artifacts import read_json
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import read_record
from pixelplay.scores.fuse import FUSED
from pixelplay.videos.index import Index

if TYPE_CHECKING:
    from pixelplay.config import Config


def gather(
    config: "Config", index: Index, speeds: Mapping[str, float], ablation_is_current: bool, remark: str = ""
) -> Report:
    """All that the page of the run shows.

    speeds: frames per second of each detector; ablation_is_current: whether the ablation on disk, if there is one, was
    made with these settings; remark: shown below the title.
    """
    files, outcome = RunFiles.of(config), load_outcome(config, index)
    manifest, scale = read_manifest(files, index), Scale.of(outcome.videos)
    labelled = [one for one in outcome.videos if one.labels is not None]
    metrics = read_json(files.metrics, "evaluate") if labelled else None
    name = f"{config.experiment}/{config.run}" if config.run else config.experiment
    return Report(
        title=f"PixelPlay: {name}",
        subtitle="; ".join(filter(None, (_subtitle(config, outcome, len(labelled)), remark))),
        headline=_headline(outcome, metrics),
        scores=score_tables(_with_speeds(metrics, speeds)) if metrics else [],
        other_figures=other_tables(metrics) if metrics else [],
        thresholds=_plots(threshold_files(files), made_by="evaluate") if metrics else [],
        videos=list(_panels(files, outcome, scale, manifest)),
        streams=[*((s, curve_style(s, i)) for i, s in enumerate(outcome.streams)), (FUSED, FUSED)],
        one_scale=scale.shared,
        gallery=[_item(files, rank, one, outcome) for rank, one in enumerate(manifest.gallery, 1)],
        color_scales=manifest.scales,
        curves=_curves(outcome, labelled, metrics) if metrics and "reason" not in metrics["fused"] else None,
        histograms=[
            Histogram(one.stream, histogram(one, f"histogram-{i}"))
            for i, one in enumerate(_distributions(config, outcome))
        ],
        ablation=_ablation(files, ablation_is_current),
        facts=_run_facts(config, manifest),
    )


def _subtitle(config: "Config", outcome: Outcome, labelled: int) -> str:
    if labelled == len(outcome.videos):
        return f"Data set {config.dataset.name}, with labels for every test video"
    if labelled:
        return f"Data set {config.dataset.name}, with labels for {labelled} of {len(outcome.videos)} test videos"
    return f"Data set {config.dataset.name}, no labels on disk: scores without metrics"


def _headline(outcome: Outcome, metrics: dict[str, Any] | None) -> list[tuple[str, str]]:
    frames = sum(len(one.numbers) for one in outcome.videos)
    size = [(f"{frames:,}", f"test frames in {len(outcome.videos)} videos")]
    if metrics is None:
        flipped, noisy = (sum(int(getattr(one, mark).sum()) for one in outcome.videos) for mark in ("flipped", "noisy"))
        return [*size, (f"{flipped:,}", "flipped frames (corrected)"), (f"{noisy:,}", "noisy frames")]
    fused = metrics["fused"]
    names = (("ap", "AP of the fusion"), ("auc_micro", "AUC micro"), ("auc_macro", "AUC macro"), ("eer", "EER"))
    figures = [(number_text(fused[key]), what) for key, what in names if fused.get(key) is not None]
    missing = [(NONE, fused["reason"])] if "reason" in fused else []
    anomalous = "of the frames anomalous" + (": AP by chance" if figures else "")
    return [*figures, *missing, (number_text(metrics["prevalence"]), anomalous), *size]


def _panels(files: RunFiles, outcome: Outcome, scale: Scale, manifest: Manifest) -> Iterator[VideoPanel]:
    for one, video in zip(outcome.videos, outcome.index.test, strict=True):
        ranked = [(rank, moment) for rank, moment in enumerate(manifest.gallery, 1) if moment.video == one.video]
        peaks = [Peak(_position(one, moment), rank, f"peak-{rank}") for rank, moment in ranked]
        facts = [f"{len(one.numbers):,} frames, {one.numbers[0]} to {one.numbers[-1]}"]
        if one.seconds is not None and (fps := video.fps):
            facts.append(f"{one.seconds[-1]:.1f} s at {fps:.4g} frames per second")
        if one.labels is not None:
            facts.append(f"{int((one.labels > 0).sum()):,} labelled anomalous")
        clip = files.clip(one.video).relative_to(files.report.parent).as_posix()
        yield VideoPanel(one.video, facts, timeline(one, scale, peaks), clip if one.video in manifest.clips else None)


def _item(files: RunFiles, rank: int, moment: Moment, outcome: Outcome) -> GalleryItem:
    one = next(one for one in outcome.videos if one.video == moment.video)
    t = _position(one, moment)
    marks = [(style, text) for style, text, mask in one.marks if mask[t]]
    if one.labels is not None:
        label = "anomalous" if one.labels[t] else "normal"
        marks = [(label, f"labelled {label}"), *marks]
    return GalleryItem(
        rank=rank,
        anchor=f"peak-{rank}",
        video=one.video,
        video_anchor=one.anchor,
        number=moment.frame,
        score=float(one.fused[t]),
        marks=marks,
        streams={name: float(scores[t]) for name, scores in one.streams.items()},
        picture=image_uri(files.explain / moment.picture, made_by="explain"),
        boxes=", ".join(f"boxes: {name}" for name in moment.boxes),
        heat=[(of.detector, image_uri(files.explain / of.picture, made_by="explain")) for of in moment.heat],
    )


def _position(one: ScoredVideo, moment: Moment) -> int:
    return int(np.searchsorted(one.numbers, moment.frame))


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
        normal = table.loc[table["split"] == "calibration", "score"].to_numpy(np.float64)
        yield Distribution(name, {"held-out normal": normal, **_by_label(outcome, table[table["split"] == "test"])})


def _by_label(outcome: Outcome, test: pd.DataFrame) -> dict[str, np.ndarray]:
    """Test scores of one stream; by label, and without unlabelled videos, where some videos have labels."""
    labelled = [one for one in outcome.videos if one.labels is not None]
    if not labelled:
        return {"test": test["score"].to_numpy(np.float64)}
    by_video = {str(video): rows.set_index("frame")["score"] for video, rows in test.groupby("video")}
    values = np.concatenate([by_video[one.video].loc[one.numbers].to_numpy(np.float64) for one in labelled])
    labels = np.concatenate([one.labels for one in labelled if one.labels is not None])
    return {"test, normal": values[labels == 0], "test, anomalous": values[labels > 0]}


def _with_speeds(metrics: dict[str, Any], speeds: Mapping[str, float]) -> dict[str, Any]:
    detectors = metrics["detectors"].items()
    measured = {name: {**of, "frames/s": speeds[name]} if name in speeds else of for name, of in detectors}
    return {**metrics, "detectors": measured}


def _ablation(files: RunFiles, is_current: bool) -> Ablation | None:
    found = ablation_files(files)
    if not found:
        return None
    told = [] if is_current else ["Made with other settings than this page: run `python src/ablate.py` to update it."]
    csvs = [path for path in found if path.suffix == ".csv"]
    tables = [replace(csv_table(path, made_by="ablate"), title=TITLES.get(path.stem, path.stem)) for path in csvs]
    pictures = [path for path in found if path.suffix == ".png"]
    return Ablation([*told, *read_introduction(files)], tables, _plots(pictures, made_by="ablate", captions=PICTURES))


def _plots(paths: Sequence[Path], made_by: str, captions: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Names and contents of pictures; raises DamagedArtifactError for a file that is none."""
    names = [(captions or {}).get(path.stem, path.stem.replace("_", " ")) for path in paths]
    return [(name, image_uri(path, made_by)) for name, path in zip(names, paths, strict=True)]


def stage_times(config: "Config") -> list[StageTime]:
    """How long each stage took when it last finished, in the order of the run."""
    files, records = RunFiles.of(config), {"prepare": "prepare", "detect": "detect"}
    records["extract tracks"] = "extract-tracks"
    records |= {f"train {name}": f"train-{name}" for name in config.detectors}
    for name in config.detectors:
        records[f"score {name}"] = f"score-{name}"
        records[f"score {name}, pseudo-anomalies"] = f"score-{name}-pseudo"
    records |= {name: name for name in ("fuse", "evaluate", "ablate", "explain")}
    found = {stage: read_record(files.record(record)) for stage, record in records.items()}
    return [StageTime(stage, record.seconds, record.finished) for stage, record in found.items() if record]


def _run_facts(config: "Config", manifest: Manifest) -> RunFacts:
    run = [
        ("experiment", f"{config.experiment}/{config.run}" if config.run else config.experiment),
        ("data set", config.dataset.name),
        ("detectors", ", ".join(config.detectors)),
        ("seed", str(config.seed)),
        ("git commit", manifest.commit),
    ]
    yaml = OmegaConf.to_yaml(OmegaConf.create(config.model_dump(mode="json")))
    return RunFacts(run, manifest.machine, manifest.versions, stage_times(config), yaml)
