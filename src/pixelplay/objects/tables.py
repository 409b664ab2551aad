"""What stages know about object detection: which methods a run uses, and where their tables of boxes are.

A table lies beside a video's cached frames, one per method, named by a key of everything that it depends on, so that
runs share it. `asking` is always the names of the run's detectors that need boxes.
"""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixelplay.errors import ConfigError, MissingArtifactError
from pixelplay.objects import motion, yolo
from pixelplay.objects.boxes import is_saved
from pixelplay.objects.yolo_weights import at_hand, check_weights, get_weights
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import fingerprint
from pixelplay.run.stage import digests_of, read_record
from pixelplay.videos.index import Index
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config


def methods(config: "Config", asking: Collection[str]) -> tuple[str, ...]:
    """How the run finds objects: by `yolo`, `motion`, or both; () where no detector needs boxes.

    Raises ConfigError where `objects.method` and `weights.yolo` contradict each other.
    """
    if not asking:
        return ()
    without_weights = config.weights.yolo == motion.MOTION
    method = config.objects.method
    if method == "auto":
        method = "motion" if without_weights else "yolo"
    if method != "motion" and without_weights:
        raise ConfigError(
            f"objects.method={method} needs weights, and weights.yolo=motion names none: set weights.yolo to a "
            "YOLO name or file that ends in .pt, such as yolov5lu.pt, or set objects.method=motion"
        )
    return ("yolo", "motion") if method == "both" else (method,)


def formats(config: "Config", asking: Collection[str]) -> list[FrameFormat]:
    """The working sizes in the frame cache that detection needs."""
    return [config.objects.motion.frames] if "motion" in methods(config, asking) else []


def require_weights(config: "Config", asking: Collection[str]) -> None:
    """Raise WeightsError if detection needs weights that are neither on disk nor downloadable; downloads nothing."""
    if "yolo" in methods(config, asking):
        check_weights(*_weights(config))


def weights(config: "Config") -> Path:
    """The file that `weights.yolo` names, downloaded if need be and allowed; else WeightsError."""
    return get_weights(*_weights(config))


def settings(config: "Config", asking: Collection[str]) -> dict[str, Any]:
    """What decides which boxes are found, except for weights; the batch size only decides the speed."""
    every = {
        "motion": {"version": motion.VERSION, **config.objects.motion.model_dump()},
        "yolo": {"version": yolo.VERSION, **config.objects.yolo.model_dump(exclude={"batch_size"})},
    }
    return {method: every[method] for method in methods(config, asking)}


def weights_digest(config: "Config", used: Collection[str]) -> str | None:
    """SHA-256 of YOLO's weights where `yolo` is among the methods; once the file is gone, that of those used last."""
    if "yolo" not in used:
        return None
    name, folder, _ = _weights(config)
    if path := at_hand(name, folder):
        return digests_of(config).of([path])[0]
    record = read_record(RunFiles.of(config).record("detect"))
    return record.contents if record else None


def table(config: "Config", video: Video, method: str) -> Path:
    """The file of all boxes that `method` finds in a video; raises WeightsError if YOLO's weights are not on disk."""
    key = fingerprint(video.key, video.size, _method_key(config, method))
    return video.folder / f"objects-{method}-{key}.parquet"


def with_objects(config: "Config", name: str, index: Index, asking: Collection[str]) -> Index:
    """The index as detector `name` takes it: if it needs boxes, with the tables of boxes of every video.

    Raises MissingArtifactError where `detect` has not made them.
    """
    if name not in asking:
        return index
    chosen = methods(config, asking)

    def add(video: Video) -> Video:
        paths = tuple(table(config, video, method) for method in chosen)
        for path in paths:
            if not is_saved(path):
                raise MissingArtifactError(
                    f"{path}: no objects found with these settings: run `python src/detect.py` with the same options"
                )
        return replace(video, objects=paths)

    train, test, pseudo = ([add(video) for video in videos] for videos in (index.train, index.test, index.pseudo))
    return replace(index, train=train, test=test, pseudo=pseudo)


def _weights(config: "Config") -> tuple[str, Path, bool]:
    """Name, folder of downloads, and whether downloading is allowed."""
    return config.weights.yolo, config.paths.cache / "weights", config.weights.source == "hub"


def _method_key(config: "Config", method: str) -> str:
    """Of everything except the footage."""
    if method == "motion":
        return fingerprint(motion.VERSION, config.objects.motion.model_dump())
    settings = config.objects.yolo.model_dump(exclude={"batch_size"})
    return fingerprint(yolo.VERSION, settings, weights_digest(config, (method,)))
