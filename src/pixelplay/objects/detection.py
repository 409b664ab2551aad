"""How a run finds objects: by which methods, from which weights or files, with which settings.

`asking` is always the names of the run's detectors that need boxes.
"""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixelplay.errors import ConfigError, DataError
from pixelplay.objects import box_files, motion, yolo
from pixelplay.objects.yolo_weights import at_hand, check_weights, get_weights
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import fingerprint
from pixelplay.run.stage import digests_of, read_record
from pixelplay.videos.layouts import roots
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config


def methods(config: "Config", asking: Collection[str]) -> tuple[str, ...]:
    """`yolo`, `motion`, both, or `file`; () where no detector needs boxes.

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
    """What decides which boxes are found, except for weights and files, by method."""
    decided = {method: _decided(config, method) for method in methods(config, asking)}
    return {method: {"version": version, **values} for method, (version, values) in decided.items()}


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


def method_key(config: "Config", video: Video, method: str) -> str:
    """Of everything that decides a video's boxes, except the footage; raises as `tables.table` does."""
    version, values = _decided(config, method)
    if method == "file":
        return fingerprint(version, _file_digest(config, video))
    return fingerprint(version, values, *([contents(config, [method])] if method == "yolo" else []))


def _decided(config: "Config", method: str) -> tuple[int, dict[str, Any]]:
    """The version and the settings of a method; the batch size only decides the speed."""
    if method == "file":
        return box_files.VERSION, {}
    if method == "motion":
        return motion.VERSION, config.objects.motion.model_dump()
    return yolo.VERSION, config.objects.yolo.model_dump(exclude={"batch_size"})


def _weights(config: "Config") -> tuple[str, Path, bool]:
    """Name, folder of downloads, and whether downloading is allowed."""
    return config.weights.yolo, config.paths.cache / "weights", config.weights.source == "hub"


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
