"""What stages know about objects: which methods a run finds them by, and where tables and feature maps are.

They lie beside a video's cached frames, a table of boxes per method, one of tracks, and a file of maps, each named by a
key of everything that it depends on, so that runs share it. `asking` is always the names of the run's detectors that
need boxes.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pixelplay.errors import ConfigError, DataError, MissingArtifactError
from pixelplay.objects import box_files, features, flow, motion, tracker, yolo
from pixelplay.objects.boxes import is_saved
from pixelplay.objects.yolo_weights import at_hand, check_weights, get_weights
from pixelplay.run.artifacts import rerun
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import fingerprint
from pixelplay.run.stage import digests_of, read_record
from pixelplay.videos.index import Index
from pixelplay.videos.layouts import roots
from pixelplay.videos.settings import FrameFormat
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


def methods(config: "Config", asking: Collection[str]) -> tuple[str, ...]:
    """How the run finds objects: by `yolo`, `motion`, both, or `file`; () where no detector needs boxes.

    With `file` clips with pseudo-anomalies, of which nobody brings boxes, get theirs by `motion`; see `methods_of`.

    Raises ConfigError where `objects.method` and `weights.yolo` contradict each other.
    """
    if not asking:
        return ()
    without_weights = config.weights.yolo == motion.MOTION
    method = config.objects.method
    if method == "auto":
        method = "motion" if without_weights else "yolo"
    if method in ("yolo", "both") and without_weights:
        raise ConfigError(
            f"objects.method={method} needs weights, and weights.yolo=motion names none: set weights.yolo to a "
            "YOLO name or file that ends in .pt, such as yolov5lu.pt, or set objects.method=motion"
        )
    if method == "file" and config.pseudo.kinds:
        return ("file", "motion")
    return ("yolo", "motion") if method == "both" else (method,)


def methods_of(video: Video, chosen: Collection[str]) -> tuple[str, ...]:
    """Those of a run's `methods` that find the objects of one video."""
    if "file" not in chosen:
        return tuple(chosen)
    return ("motion",) if video.split == "pseudo" else ("file",)


def formats(config: "Config", asking: Collection[str]) -> list[FrameFormat]:
    """The working sizes in the frame cache that detection needs."""
    return [config.objects.motion.frames] if "motion" in methods(config, asking) else []


def require_weights(config: "Config", asking: Collection[str]) -> None:
    """Raise WeightsError if detection needs weights that are neither on disk nor downloadable; downloads nothing."""
    if "yolo" in methods(config, asking):
        check_weights(*_weights(config))


def require_classes(config: "Config", asking: Collection[str]) -> None:
    """Raise ConfigError if detectors that tell objects apart by their class, `asking`, would get moving blobs only."""
    if methods(config, asking) == ("motion",):
        raise ConfigError(
            f"{', '.join(asking)}: moving blobs have no class (objects.method={config.objects.method}, "
            f"weights.yolo={config.weights.yolo}): set weights.yolo to a YOLO name or file that ends in .pt, such as "
            "yolov8s.pt, with objects.method=yolo or both, bring boxes with objects.method=file, or take it out of "
            "detector=[…]"
        )


def weights(config: "Config") -> Path:
    """The file that `weights.yolo` names, downloaded if need be and allowed; else WeightsError."""
    return get_weights(*_weights(config))


def settings(config: "Config", asking: Collection[str]) -> dict[str, Any]:
    """What decides which boxes are found, except for weights; the batch size only decides the speed."""
    every = {
        "file": {"version": box_files.VERSION},
        "motion": {"version": motion.VERSION, **config.objects.motion.model_dump()},
        "yolo": {"version": yolo.VERSION, **config.objects.yolo.model_dump(exclude={"batch_size"})},
    }
    return {method: every[method] for method in methods(config, asking)}


def contents(config: "Config", used: Collection[str]) -> Any:
    """SHA-256 of the files that boxes come from: YOLO's weights, or by video the user's boxes; else None.

    Once the files are gone, that of those used last.
    """
    name, folder, _ = _weights(config)
    if "file" in used:
        with suppress(DataError):  # the data set is gone
            files = box_files.box_files(roots(config.dataset))
            return dict(zip(files, digests_of(config).of(files.values()), strict=True))
    elif "yolo" not in used:
        return None
    elif path := at_hand(name, folder):
        return digests_of(config).of([path])[0]
    record = read_record(RunFiles.of(config).record("detect"))
    return record.contents if record else None


def table(config: "Config", video: Video, method: str) -> Path:
    """The file of all boxes that `method` finds in a video.

    Raises WeightsError if YOLO's weights are not on disk, DataError if the user brings no boxes of the video.
    """
    key = fingerprint(video.key, video.size, _method_key(config, video, method))
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
    found_by, source = methods(config, ["features"]), config.objects.features.source
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
    chosen = methods(config, needs)

    def add(video: Video) -> Video:
        video = replace(video, objects=tuple(table(config, video, method) for method in methods_of(video, chosen)))
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


def _weights(config: "Config") -> tuple[str, Path, bool]:
    """Name, folder of downloads, and whether downloading is allowed."""
    return config.weights.yolo, config.paths.cache / "weights", config.weights.source == "hub"


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


def _method_key(config: "Config", video: Video, method: str) -> str:
    """Of everything except the footage."""
    if method == "file":
        return fingerprint(box_files.VERSION, _file_digest(config, video))
    if method == "motion":
        return fingerprint(motion.VERSION, config.objects.motion.model_dump())
    settings = config.objects.yolo.model_dump(exclude={"batch_size"})
    return fingerprint(yolo.VERSION, settings, contents(config, (method,)))


def _file_digest(config: "Config", video: Video) -> str:
    """SHA-256 of the user's boxes of a video; once the data set is gone, of those used last."""
    try:
        path = box_files.box_file(roots(config.dataset), video.split, video.id)
    except DataError:
        record = read_record(RunFiles.of(config).record("detect"))
        if record is None or not isinstance(record.contents, dict):
            raise
        return record.contents[f"{video.split}/{video.id}"]
    if not path.is_file():
        header = ",".join(box_files.HEADER)
        raise DataError(f"{path} is missing: objects.method=file needs one for each video, if only its header {header}")
    return digests_of(config).of([path])[0]
