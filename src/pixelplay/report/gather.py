"""What the page shows, gathered from the run's artefacts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import OmegaConf

from pixelplay.ablation.summary import read_introduction
from pixelplay.ablation.tables import PICTURES, TITLES
from pixelplay.evaluation.clock import Clock
from pixelplay.evaluation.comparison import compare
from pixelplay.evaluation.score_tables import scored_names
from pixelplay.events.event import Events
from pixelplay.report.charts import Chart
from pixelplay.report.distributions import curve_style, histogram, precision_recall_chart, roc_chart
from pixelplay.report.events import EventList, event_items, event_positions, read_events
from pixelplay.report.headline import headline, subtitle, trust
from pixelplay.report.manifest import Manifest, Moment, image_uri, picture_of, pictures_of, read_manifest
from pixelplay.report.metrics_text import events_lines
from pixelplay.report.outcome import Outcome, ablation_files, load_outcome, threshold_files
from pixelplay.report.page import Ablation, GalleryItem, Measured, Report, VideoPanel
from pixelplay.report.scores_table import published_table, scores_table, thresholds_table
from pixelplay.report.tables import csv_table, heading, number_text, object_tables, score_rows, score_tables
from pixelplay.report.timelines import Scale, rule_data, video_data
from pixelplay.report.tracks import ScoredTrack, scored_tracks, track_data
from pixelplay.run.artifacts import read_json
from pixelplay.run.files import RunFiles, of_seed
from pixelplay.run.stage import Record, read_record
from pixelplay.scores.settings import FUSED, OBJECTS
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
    manifest, found = read_manifest(files, index), read_events(files, index)
    metrics = read_json(files.metrics, "evaluate") if outcome.labelled else None
    tracks = scored_tracks(config, outcome, manifest)
    worth = events_lines(metrics["events"]) if metrics else []
    items = event_items(files, found, outcome, manifest, tracks) if found else []
    charts, key = _curves(outcome, metrics) if metrics and "reason" not in metrics["fused"] else ([], [])
    histograms = enumerate(_distributions(config, outcome).items())
    anchors = {one.video: one.anchor for one in outcome.videos}
    no_track = not any(one.track for one in items)
    return Report(
        title=f"PixelPlay: {config.full_name}",
        subtitle="; ".join(filter(None, (subtitle(config, outcome), remark))),
        headline=headline(outcome, metrics, found),
        remarks=trust(found),
        events=EventList(found, items, worth) if found else None,
        gallery=[] if items else [_item(files, one, outcome) for one in manifest.gallery],
        tracks=[(one, picture_of(files, one.pictured)) for one in tracks] if no_track else [],
        color_scales=manifest.scales,
        videos=[*_panels(files, outcome, manifest, metrics)],
        streams=[*_styles(outcome).items()],
        one_scale=Scale.of(outcome.videos).shared,
        sprites=[(anchors[one.video], picture_of(files, one)) for one in manifest.sprites],
        data=_data(config, outcome, manifest, found, tracks),
        measured=_measured(metrics, speeds) if metrics else None,
        curves=charts,
        curve_key=key,
        histograms={stream: histogram(stream, scores, f"histogram-{i}") for i, (stream, scores) in histograms},
        thresholds=_plots(threshold_files(files), "evaluate", {}) if metrics else [],
        ablation=_ablation(files, ablation_is_current),
        comparison=compare(config, index),
        run=[*_facts(config, manifest).items()],
        machine=manifest.machine,
        versions=manifest.versions,
        stages=stage_times(config),
        config=OmegaConf.to_yaml(OmegaConf.create(config.model_dump(mode="json"))),
    )


def _facts(config: "Config", manifest: Manifest) -> dict[str, str]:
    trained = {"trained by": config.checkpoints_of} if config.checkpoints_of else {}
    run = {"experiment": config.full_name, "data set": config.dataset.name, "detectors": ", ".join(config.detectors)}
    return {**run, **trained, "seed": str(config.seed), "git commit": manifest.commit}


def _measured(metrics: dict[str, Any], speeds: Mapping[str, float]) -> Measured:
    return Measured(
        scores_table(metrics, speeds),
        published_table(metrics["published"], metrics["objects"]),
        thresholds_table(metrics["thresholds"]),
        [*score_tables(metrics, speeds), *object_tables(metrics["objects"])],
    )


def _styles(outcome: Outcome) -> dict[str, str]:
    """CSS classes of the lines of videos, by name."""
    return {**{stream: curve_style(stream, i) for i, stream in enumerate(outcome.streams)}, FUSED: FUSED}


def _data(
    config: "Config", outcome: Outcome, manifest: Manifest, found: Events | None, tracks: Sequence[ScoredTrack]
) -> dict[str, Any]:
    """What the page's script draws: see templates/series.js."""
    scale, styles = Scale.of(outcome.videos), _styles(outcome)
    alarms = {one.stream: one for one in found.alarms} if found else {}
    sprites = {one.video: one for one in manifest.sprites}
    ranked = [*enumerate(found.events if found else (), 1)]
    videos = []
    for one, video in zip(outcome.videos, outcome.index.test, strict=True):
        own = [event_positions(rank, event, one) for rank, event in ranked if event.video == one.video]
        clock, sprite = Clock.of(video, config.events.fps), sprites.get(one.video)
        tiles = sprite and {"size": sprite.size, "columns": sprite.columns, "frames": sprite.frames}
        videos.append({**video_data(one, clock, scale, styles, own), "sprite": tiles})
    rule = rule_data(alarms[FUSED], config.events) if FUSED in alarms else None
    return {
        "videos": videos,
        "tracks": track_data(tracks, styles, outcome.videos),
        "rule": rule,
        "objectThreshold": alarms[OBJECTS].threshold if OBJECTS in alarms else None,
    }


def _panels(
    files: RunFiles, outcome: Outcome, manifest: Manifest, metrics: dict[str, Any] | None
) -> Iterator[VideoPanel]:
    measured = (metrics or {}).get("videos", {})
    for one, video in zip(outcome.videos, outcome.index.test, strict=True):
        own = measured.get(one.video, {}).get(FUSED, {})
        facts = [f"{len(one.numbers):,} frames, {one.numbers[0]} to {one.numbers[-1]}"]
        if one.seconds is not None and (fps := video.fps):
            facts.append(f"{one.seconds[-1]:.1f} s at {fps:.4g} frames per second")
        if one.labels is not None:
            facts.append(f"{int((one.labels > 0).sum()):,} labelled anomalous")
        known = [key for key in ("auc", "ap") if own.get(key) is not None]
        facts += [f"{heading(key)} {number_text(own[key])}" for key in known]
        facts += [f"{int(mask.sum()):,} {text}" for _, text, mask in one.marks if mask.any()]
        clip = f"clips/{files.clip(one.video).name}" if one.video in manifest.clips else None
        yield VideoPanel(one.video, one.anchor, facts, clip, float(one.fused.max()), own.get("ap"))


def _item(files: RunFiles, moment: Moment, outcome: Outcome) -> GalleryItem:
    one = next(one for one in outcome.videos if one.video == moment.video)
    at = int(np.searchsorted(one.numbers, moment.frame))
    return GalleryItem(moment, one, at, picture_of(files, moment), pictures_of(files, moment.heat))


def _curves(outcome: Outcome, metrics: dict[str, Any]) -> tuple[list[Chart], list[tuple[str, str]]]:
    """ROC and precision-recall curves, and their key: streams with their figures, and CSS classes."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    labels = _joined([one.labels for one in outcome.labelled])
    figures = {name: of for name, of, _ in score_rows(metrics)}
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
    plots = _plots([path for path in found if path.suffix == ".png"], "ablate", PICTURES)
    return Ablation([*told, *read_introduction(files)], tables, plots)


def _plots(paths: Sequence[Path], made_by: str, captions: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names and contents of pictures; raises DamagedArtifactError for a file that is none."""
    return [(captions.get(path.stem, path.stem.replace("_", " ")), image_uri(path, made_by)) for path in paths]


def stage_times(config: "Config") -> dict[str, Record]:
    """The records of what the run's stages have done, with how long each part took, in the order of their ends."""
    files, names = RunFiles.of(config), [of_seed(n, seed) for n in config.detectors for seed in config.trained_seeds]
    own = {part for name in names for part in (f"train-{name}", f"score-{name}", f"score-{name}-pseudo")}
    paths = {path.stem: path for at in (files.outputs, files.fusion) for path in at.glob("stages/*.json")}
    parts = [part for part in paths if part in own or not part.startswith(("train-", "score-"))]  # no other detectors
    found = {part: record for part in parts if part != "report" and (record := read_record(paths[part]))}
    return dict(sorted(found.items(), key=lambda item: item[1].finished))
