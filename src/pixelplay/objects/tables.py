"""Where the tables of a video's objects, and their feature maps, are.

They lie beside its cached frames, a table of boxes per method, one of tracks, and a file of maps, each named by a key
of everything that it depends on, so that runs share it.
"""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pixelplay.errors import ConfigError, MissingArtifactError
from pixelplay.objects import detection, features, flow, tracker
from pixelplay.objects.boxes import is_saved
from pixelplay.run.artifacts import rerun
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import fingerprint
from pixelplay.run.stage import digests_of, read_record
from pixelplay.videos.index import Index
from pixelplay.videos.video import Maps, Video

if TYPE_CHECKING:
    from pixelplay.config import Config

# What of objects a detector needs; tracks come with boxes, the others with both.
Need = Literal["boxes", "tracks", "features", "crops", "flow"]
NEEDS: tuple[Need, ...] = get_args(Need)
Mapped = Literal["features", "crops"]
MAPPED: tuple[Mapped, ...] = get_args(Mapped)
ENCODER, MAPS = "extract-encoder", "extract-features"  # tasks, by the names of their records
CROP_CELLS = 1  # of the maps of crops where feature maps are YOLO's: means over the crop


def table(config: "Config", video: Video, method: str) -> Path:
    """The file of all boxes that `method` finds in a video.

    Raises WeightsError if YOLO's weights are not on disk, DataError if the user brings no boxes of the video.
    """
    key = fingerprint(video.key, video.size, detection.method_key(config, video, method))
    return video.folder / f"objects-{method}-{key}.parquet"


def track_settings(config: "Config") -> dict[str, Any]:
    """What decides which boxes are followed to which."""
    return {"version": tracker.VERSION, **config.objects.tracks.model_dump()}


def tracks_table(config: "Config", video: Video) -> Path:
    """The file of all tracks of a video that comes with its tables of boxes."""
    boxes = [path.name for path in video.objects]  # which name all that they depend on
    return video.folder / f"tracks-{fingerprint(boxes, track_settings(config))}.parquet"


def features_source(config: "Config") -> Literal["yolo", "backbone"]:
    """What makes the run's feature maps; raises ConfigError where `objects.features.source` can't."""
    found_by, source = detection.methods(config, ["features"]), config.objects.features.source
    if source == "yolo" and found_by != ("yolo",):
        raise ConfigError(
            "objects.features.source=yolo: YOLO's maps are of the boxes that it finds itself, and this run's come from "
            f"{' and '.join(found_by)}: set weights.yolo to weights and objects.method=yolo, or "
            "objects.features.source=backbone"
        )
    backend = config.objects.yolo.backend
    if source == "yolo" and backend != "torch":
        raise ConfigError(
            "objects.features.source=yolo: YOLO's maps are those of its network in PyTorch, and "
            f"objects.yolo.backend={backend} detects with an exported one: set objects.yolo.backend=torch, or "
            "objects.features.source=backbone"
        )
    pools = found_by == ("yolo",) and backend == "torch"
    return ("yolo" if pools else "backbone") if source == "auto" else source


def by_backbone(config: "Config", needs: Collection[Need]) -> bool:
    """Whether what is needed has maps by the run's backbone."""
    return "crops" in needs or ("features" in needs and features_source(config) == "backbone")


def cells(config: "Config", need: Mapped) -> int:
    """Of a map, each way. Crops have the backbone's feature maps where there are such: one file serves both."""
    own = need == "crops" and features_source(config) == "yolo"
    return CROP_CELLS if own else config.objects.features.cells


def maps_settings(config: "Config", need: Mapped) -> dict[str, Any]:
    """What decides the feature maps, or those of crops, of given boxes or tracks, except for YOLO's weights and an
    encoder's.
    """
    source = "backbone" if need == "crops" else features_source(config)
    found = {"source": source, "version": features.VERSIONS[source], "cells": cells(config, need)}
    if source == "yolo":
        return found
    chosen = config.objects.features.model_dump(exclude={"source", "cells", "batch_size"})
    return {**found, "backbone": _backbone(config), **chosen}


def encoder_digest(config: "Config", need: Mapped) -> str | None:
    """SHA-256 of the encoder that makes these maps, once `extract` has it; None where none does."""
    if not by_backbone(config, [need]) or config.weights.backbone != "in_domain":
        return None
    record = read_record(RunFiles.of(config).record(ENCODER))
    return record.outputs[0].sha256 if record else None


def maps(config: "Config", video: Video, need: Mapped) -> Maps:
    """The file of feature maps, or those of crops, of a video that comes with its tables."""
    by_box = not by_backbone(config, [need])
    table = video.objects[0] if by_box else video.tracks
    assert table is not None, "see with_objects"
    key = fingerprint(table.name, maps_settings(config, need), encoder_digest(config, need))
    path, chosen = video.folder / f"features-{key}.npy", config.objects.features
    return Maps(path, True) if by_box else Maps(path, False, chosen.every, chosen.noise_above)


def flow_settings(config: "Config") -> dict[str, Any]:
    """What decides the flow inside the boxes of given tracks."""
    return {"version": flow.VERSION, **config.objects.flow.model_dump(), "fps": config.objects.tracks.fps}


def flow_file(config: "Config", video: Video) -> Path:
    """The file of flow inside the boxes of a video that comes with its tables."""
    assert video.tracks is not None, "see with_objects"
    return video.folder / f"flow-{fingerprint(video.tracks.name, flow_settings(config))}.npy"


def with_objects(config: "Config", index: Index, needs: Collection[Need]) -> Index:
    """The index with what a detector's `Spec.needs` names of every video: tables of boxes and tracks, maps, flow.

    Raises MissingArtifactError where `detect` or `extract` has not made them.
    """
    if "boxes" not in needs:
        return index
    chosen = detection.methods(config, needs)

    def add(video: Video) -> Video:
        methods = detection.methods_of(video, chosen)
        video = replace(video, objects=tuple(table(config, video, method) for method in methods))
        for path in video.objects:
            _require(path, "objects found", "detect")
        if "tracks" in needs:
            path = tracks_table(config, video)
            _require(path, "objects followed", "extract")
            video = replace(video, tracks=path)
        found: dict[str, Any] = {need: maps(config, video, need) for need in MAPPED if need in needs}
        if "flow" in needs:
            found["flow"] = Maps(flow_file(config, video), by_box=False)
        for one in found.values():
            features.require(video, one)
        return replace(video, **found)

    train, test, pseudo = ([add(video) for video in videos] for videos in (index.train, index.test, index.pseudo))
    return replace(index, train=train, test=test, pseudo=pseudo)


def _require(path: Path, what: str, stage: str) -> None:
    if not is_saved(path):
        raise MissingArtifactError(f"{path}: no {what} with these settings: {rerun(stage)}")


def _backbone(config: "Config") -> Any:
    """The backbone by name, and by contents where it is a file; once that is gone, by those used last."""
    weights = config.weights
    if weights.known_contents is not None:
        return [weights.backbone, *weights.known_contents]
    if weights.backbone == "in_domain" or weights.backbone_file is None:
        return [weights.backbone, None]
    record = read_record(RunFiles.of(config).record(MAPS))
    if record is not None and not weights.backbone_file.is_file():
        return record.settings["objects.features"]["backbone"]
    return [weights.backbone, *digests_of(config).of([weights.backbone_file])]
