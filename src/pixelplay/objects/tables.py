"""What stages know about object detection: who asks for it, by which methods, where its tables lie.

A detector asks with `boxes=True` in its `Spec`. Tables lie beside a video's cached frames, one per method, named
by a key of all that they depend on, so that runs share them.
"""

from dataclasses import replace
from pathlib import Path

from pixelplay.config import Config, FrameFormat
from pixelplay.detectors import registry
from pixelplay.errors import ConfigError, MissingArtifactError
from pixelplay.objects import motion, yolo
from pixelplay.objects.boxes import is_saved
from pixelplay.objects.yolo_weights import at_hand, get_weights
from pixelplay.run.digests import Digests
from pixelplay.run.fingerprints import fingerprint
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video


def asks(config: Config, name: str) -> bool:
    """Whether detector `name` asks for objects."""
    return registry.spec(name, config.detectors[name]).boxes


def methods(config: Config) -> tuple[str, ...]:
    """How the run looks for objects: by `yolo`, `motion`, or both; () where no detector asks for objects.

    Raises ConfigError where `objects.method` and `weights.detector` contradict each other.
    """
    if not any(asks(config, name) for name in config.detectors):
        return ()
    without_weights = config.weights.detector == motion.MOTION
    method = config.objects.method
    if method == "auto":
        method = "motion" if without_weights else "yolo"
    if method != "motion" and without_weights:
        raise ConfigError(
            f"objects.method={method} needs weights, and weights.detector=motion names none: set weights.detector to a "
            "YOLO name or file that ends in .pt, such as yolov5lu.pt, or set objects.method=motion"
        )
    return ("yolo", "motion") if method == "both" else (method,)


def formats(config: Config) -> list[FrameFormat]:
    """The working sizes in the frame cache that detection needs."""
    return [config.objects.motion.frames] if "motion" in methods(config) else []


def require_weights(config: Config) -> None:
    """Get the weights that detection needs; raises WeightsError where they cannot be had, before any work is done."""
    if "yolo" in methods(config):
        weights(config)


def weights_lacking(config: Config) -> bool:
    """Whether weights must be downloaded first, or are not to be had."""
    return "yolo" in methods(config) and at_hand(config.weights.detector, _weights_folder(config)) is None


def weights(config: Config) -> Path:
    """The file that `weights.detector` names, downloaded if need be and allowed; else WeightsError."""
    return get_weights(config.weights.detector, _weights_folder(config), download=config.weights.source == "hub")


def inputs(config: Config, name: str) -> str | None:
    """Fingerprint of how the objects were found that detector `name` uses; None where it asks for none."""
    if not asks(config, name):
        return None
    return fingerprint([_method_key(config, method) for method in methods(config)])


def table(config: Config, video: Video, method: str) -> Path:
    """The file of all boxes that `method` finds in a video."""
    key = fingerprint(video.key, video.size, _method_key(config, method))
    return video.folder / f"objects-{method}-{key}.parquet"


def with_objects(config: Config, name: str, index: Index) -> Index:
    """The index as detector `name` takes it: if it asks for objects, its videos know their tables of boxes.

    Raises MissingArtifactError where `detect` has not looked for them.
    """
    if not asks(config, name):
        return index
    chosen = methods(config)

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


def _weights_folder(config: Config) -> Path:
    return config.paths.cache / "weights"


def _method_key(config: Config, method: str) -> str:
    """Of all but the footage; the batch size only decides how fast it goes."""
    if method == "motion":
        return fingerprint(motion.VERSION, config.objects.motion.model_dump())
    settings = config.objects.yolo.model_dump(exclude={"batch_size"})
    return fingerprint(yolo.VERSION, settings, Digests(config.paths.cache / "digests").of([weights(config)]))
