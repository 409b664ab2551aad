"""What the page shows, gathered from the run's artefacts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import OmegaConf

from pixelplay.ablation.summary import read_introduction
from pixelplay.ablation.tables import PICTURES, TITLES
from pixelplay.evaluation.comparison import compare
from pixelplay.evaluation.score_tables import scored_names
from pixelplay.report.charts import Chart
from pixelplay.report.distributions import curve_style, histogram, precision_recall_chart, roc_chart
from pixelplay.report.manifest import Manifest, Moment, image_uri, read_manifest
from pixelplay.report.outcome import Outcome, ScoredVideo, ablation_files, load_outcome, threshold_files
from pixelplay.report.page import Ablation, GalleryItem, Report, TrackItem, Tracks, VideoPanel
from pixelplay.report.tables import NONE, csv_table, number_text, other_tables, score_tables
from pixelplay.report.timelines import Scale, timeline
from pixelplay.report.tracks import ScoredTrack, scored_tracks, track_charts, track_styles
from pixelplay.run.artifacts import read_json
from pixelplay.run.files import RunFiles, of_seed
from pixelplay.run.stage import Record, read_record
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
    metrics = read_json(files.metrics, "evaluate") if outcome.labelled else None
    name = config.full_name
    run = {"experiment": name, "data set": config.dataset.name, "detectors": ", ".join(config.detectors)}
    run |= {"trained by": config.checkpoints_of} if config.checkpoints_of else {}
    run |= {"seed": str(config.seed), "git commit": manifest.commit}
    charts, key = _curves(outcome, metrics) if metrics and "reason" not in metrics["fused"] else ([], [])
    histograms = enumerate(_distributions(config, outcome).items())
    return Report(
        title=f"PixelPlay: {name}",
        subtitle="; ".join(filter(None, (_subtitle(config, outcome), remark))),
        headline=_headline(outcome, metrics),
        scores=score_tables(metrics, speeds) if metrics else [],
        other_figures=other_tables(metrics) if metrics else [],
        thresholds=_plots(threshold_files(files), made_by="evaluate") if metrics else [],
        tracks=_tracks(files, outcome, scored_tracks(config, outcome, manifest)),
        videos=list(_panels(files, outcome, scale, manifest)),
        streams=[*((s, curve_style(s, i)) for i, s in enumerate(outcome.streams)), (FUSED, FUSED)],
        one_scale=scale.shared,
        gallery=[_item(files, rank, one, outcome) for rank, one in enumerate(manifest.gallery, 1)],
        color_scales=manifest.scales,
        curves=charts,
        curve_key=key,
        histograms={stream: histogram(stream, scores, f"histogram-{i}") for i, (stream, scores) in histograms},
        ablation=_ablation(files, ablation_is_current),
        comparison=compare(config, index),
        run=[*run.items()],
        machine=manifest.machine,
        versions=manifest.versions,
        stages=stage_times(config),
        config=OmegaConf.to_yaml(OmegaConf.create(config.model_dump(mode="json"))),
    )


def _subtitle(config: "Config", outcome: Outcome) -> str:
    labelled, videos = len(outcome.labelled), len(outcome.videos)
    if labelled:
        which = "every test video" if labelled == videos else f"{labelled} of {videos} test videos"
        return f"Data set {config.dataset.name}, with labels for {which}"
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
        peaks = {rank: _position(one, moment) for rank, moment in ranked}
        facts = [f"{len(one.numbers):,} frames, {one.numbers[0]} to {one.numbers[-1]}"]
        if one.seconds is not None and (fps := video.fps):
            facts.append(f"{one.seconds[-1]:.1f} s at {fps:.4g} frames per second")
        if one.labels is not None:
            facts.append(f"{int((one.labels > 0).sum()):,} labelled anomalous")
        clip = files.clip(one.video).relative_to(files.report.parent).as_posix()
        yield VideoPanel(one.video, facts, timeline(one, scale, peaks), clip if one.video in manifest.clips else None)


def _item(files: RunFiles, rank: int, moment: Moment, outcome: Outcome) -> GalleryItem:
    one = next(one for one in outcome.videos if one.video == moment.video)
    picture = image_uri(files.explain / moment.picture, made_by="explain")
    heat = [(of.detector, image_uri(files.explain / of.picture, made_by="explain")) for of in moment.heat]
    return GalleryItem(rank, moment, one, _position(one, moment), picture, heat)


def _tracks(files: RunFiles, outcome: Outcome, tracks: Sequence[ScoredTrack]) -> Tracks | None:
    if not tracks:
        return None
    styles = track_styles(tracks, outcome.streams)
    pictures = [image_uri(files.explain / one.pictured.picture, made_by="explain") for one in tracks]
    every = zip(tracks, pictures, track_charts(tracks, styles), strict=True)
    return Tracks([TrackItem(rank, *of) for rank, of in enumerate(every, 1)], [*styles.items()])


def _position(one: ScoredVideo, moment: Moment) -> int:
    return int(np.searchsorted(one.numbers, moment.frame))


def _curves(outcome: Outcome, metrics: dict[str, Any]) -> tuple[list[Chart], list[tuple[str, str]]]:
    """ROC and precision-recall curves, and their key: streams with their figures, and CSS classes."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    labels = _joined([one.labels for one in outcome.labelled])
    figures = {**metrics["detectors"], FUSED: metrics["fused"]}
    figures |= {s: of for detector in metrics["detectors"].values() for s, of in detector.get("streams", {}).items()}
    roc, precision_recall, key = {}, {}, []
    for i, stream in enumerate([*outcome.streams, FUSED]):
        scores = _joined([one.named[stream] for one in outcome.labelled])
        roc[stream] = roc_curve(labels, scores)[:2]
        precision, recall, _ = precision_recall_curve(labels, scores, drop_intermediate=True)
        precision_recall[stream] = recall[::-1], precision[::-1]
        own = figures.get(stream, {})
        auc, ap = (number_text(own[k]) if own.get(k) is not None else "" for k in ("auc_micro", "ap"))
        key.append((f"{stream}: AUC {auc}, AP {ap}" if auc else stream, curve_style(stream, i)))
    return [roc_chart(roc), precision_recall_chart(precision_recall, float((labels > 0).mean()))], key


def _distributions(config: "Config", outcome: Outcome) -> dict[str, dict[str, np.ndarray]]:
    """Scores (N,) of each detector's default stream and of the fusion, by kind of frame, as the metrics measure them.

    Of test frames by label, and without unlabelled videos, where some videos have labels.
    """
    labels = _joined([one.labels for one in outcome.labelled])
    found = {}
    for name in [*scored_names(config), FUSED]:
        scores = _joined([one.named[name] for one in outcome.labelled or outcome.videos])
        kinds = {"test, normal": scores[labels == 0], "test, anomalous": scores[labels > 0]} if outcome.labelled else {}
        found[name] = {"held-out normal": outcome.normal.get(name, np.empty(0)), **(kinds or {"test": scores})}
    return found


def _joined(parts: Sequence[np.ndarray | None]) -> np.ndarray:
    """What is known of all videos, one after the other."""
    return np.concatenate([np.empty(0), *(one for one in parts if one is not None)])


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


def stage_times(config: "Config") -> dict[str, Record]:
    """The record of each stage that has finished, with how long it took, in the order of the run."""
    files, records = RunFiles.of(config), {"prepare": "prepare", "detect": "detect"}
    records["extract tracks"] = "extract-tracks"
    names = [of_seed(name, seed) for name in config.detectors for seed in config.trained_seeds]
    records |= {f"train {name}": f"train-{name}" for name in names}
    for name in names:
        records |= {f"score {name}": f"score-{name}", f"score {name}, pseudo-anomalies": f"score-{name}-pseudo"}
    records |= {name: name for name in ("fuse-objects", "fuse", "evaluate", "ablate", "explain")}
    found = {stage: read_record(files.record(record)) for stage, record in records.items()}
    return {stage: record for stage, record in found.items() if record}
