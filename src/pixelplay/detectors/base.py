"""The contract of every detector: fitted on normal videos, it gives each frame of any other video an anomaly score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from pixelplay.detectors.settings import DetectorConfig
from pixelplay.errors import ConfigError, DataError
from pixelplay.events.vectors import EventVectors
from pixelplay.objects.explanation import Finding
from pixelplay.objects.tables import NEEDS, Need
from pixelplay.run.artifacts import read_model, write_json
from pixelplay.videos.index import Heldout
from pixelplay.videos.video import Video

if TYPE_CHECKING:  # importing them imports torch
    import torch

    from pixelplay.training.run import TrainingRun


@dataclass(frozen=True)
class Spec:
    """What is known of an algorithm without importing torch.

    name: as `detectors.*.algorithm` names it. version: raised when the same settings give other results. module: where
    its functions `check` and `build` are. boxes, tracks: whether its videos must come with boxes of objects, and with
    these followed through time. features, crops, flow: whether, with both of these, they must come with feature maps of
    the objects, with those of their crops by the run's backbone, and with the motion inside their boxes. classes:
    whether it tells objects apart by their class, which moving blobs don't have. trainer: the keys of `trainer` that
    decide what it learns. only_in_domain: keys of its `training` that count only where its backbone is trained in the
    run. frame_streams: those about whole frames, `<detector>/<name>`, which are members of the fusion of frames where
    the others are fused per object. extra: the optional dependencies of pyproject.toml that it needs.
    """

    name: str
    version: int
    module: str
    boxes: bool = False
    tracks: bool = False
    features: bool = False
    crops: bool = False
    flow: bool = False
    classes: bool = False
    trainer: tuple[str, ...] = ("precision",)
    only_in_domain: tuple[str, ...] = ()
    frame_streams: tuple[str, ...] = ()
    extra: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tracks", self.tracks or self.features or self.crops or self.flow)
        object.__setattr__(self, "boxes", self.boxes or self.tracks)

    def decisive(self, training: Mapping[str, Any]) -> dict[str, Any]:
        """The part of a detector's `training` that decides what it learns."""
        unused = () if training.get("backbone", {}).get("name") == "in_domain" else self.only_in_domain
        return {key: value for key, value in training.items() if key not in unused}

    @property
    def needs(self) -> tuple[Need, ...]:
        """What of objects its videos must come with."""
        return tuple(need for need in NEEDS if getattr(self, need))


@dataclass(frozen=True)
class Scores:
    """Raw scores of one video.

    streams: by name, float32 [T], finite, higher = more anomalous; the one named like the detector is its default.
    objects: optional, columns frame, track, x1, y1, x2, y2, class, stream, score: a row for each object, stream and
    frame that the score is about, so that a frame without rows is known to have no object.
    """

    streams: Mapping[str, np.ndarray]
    objects: pd.DataFrame | None = None

    def check(self, video: Video, detector: str) -> "Scores":
        """Return self; raises DataError when the contract is broken, naming the video and the stream."""
        if detector not in self.streams:
            raise DataError(f"{detector}: no default stream of that name among {sorted(self.streams)}")
        for name, values in self.streams.items():
            if values.shape != (len(video),) or values.dtype != np.float32:
                raise DataError(f"{name}, video {video.id}: {values.dtype} {values.shape}, not float32 ({len(video)},)")
            if not np.isfinite(values).all():
                position = int(np.flatnonzero(~np.isfinite(values))[0])
                raise DataError(f"{name}, video {video.id}: the score of frame {video.numbers[position]} is not finite")
        return self


class About(BaseModel):
    """A trained detector's detector.json, beside its identity."""

    model_config = ConfigDict(extra="allow", strict=True)

    name: str
    bf16: bool
    parameters: int
    videomae: str | None = None  # identity of the VideoMAE that it uses
    channels: int | None = None  # of the feature maps that it reads


def identity_of(config: DetectorConfig, training: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a saved detector must share with the configuration that loads it; `training` in place of the config's."""
    own = config.training if training is None else training
    return config.model_dump(mode="json", include={"algorithm", "frames"}) | {"training": own}


def save_about(folder: Path, about: About, identity: Mapping[str, Any]) -> None:
    """Write detector.json, atomically."""
    write_json(folder / "detector.json", {**about.model_dump(exclude_none=True), **identity})


def load_about(folder: Path, identity: Mapping[str, Any]) -> About:
    """What `save_about` wrote.

    Raises MissingArtifactError, DamagedArtifactError, and ConfigError where it differs from `identity`.
    """
    about = read_model(folder / "detector.json", About, made_by="train")
    saved = {key: (about.model_extra or {}).get(key) for key in identity}
    if saved != identity:
        raise ConfigError(f"{folder} holds a detector trained with {saved}, not {dict(identity)}: train again")
    return about


class Detector(Protocol):
    """Deterministic for a seed; scoring one video never changes the scores of another."""

    def __init__(self, name: str, config: DetectorConfig, device: "torch.device"):
        """Raises ConfigError for settings that the algorithm refuses."""

    def fit(self, videos: list[Video], heldout: Heldout, run: "TrainingRun") -> None:
        """Learn from normal footage, whatever `config.scoring` says.

        `heldout.validation` may stop training early and `heldout.calibration` may set scales; nothing else is learned
        from them, and nothing from `heldout.planting`.
        """

    def score(self, video: Video, causal: bool = False) -> Scores:
        """Score every frame; with `causal`, from that frame and earlier ones only."""
        ...

    def save(self, folder: Path) -> None:
        """Write all that `load` needs, atomically."""

    def load(self, folder: Path) -> None:
        """Restore what `save` wrote; raises MissingArtifactError, or ConfigError if it has other settings."""


@runtime_checkable
class Calibrates(Protocol):
    """A detector that can score the footage it was fitted on, from memories or networks that have not seen it."""

    def calibrate(self, videos: list[Video]) -> list[Scores]:
        """Scores of each of the videos that `fit` was given, in folds that its settings name; [] for none."""
        ...


@runtime_checkable
class Recalibrates(Protocol):
    """A detector whose scales come from held-out normal footage, also of another data set than it has learnt from."""

    def recalibrate(self, videos: list[Video]) -> None:
        """Set the scales from held-out normal footage, as `fit` does; the rest of what was learnt stays."""


@runtime_checkable
class Accepts(Protocol):
    """A detector that can take single objects for normal without being trained again."""

    def accept(self, events: Sequence[EventVectors]) -> bool:
        """Take the objects of these events for normal, too, in place of those that were accepted before.

        Streams that are open score so from their next frame on. Scales stay as they are, `save` writes none of it, and
        with no events all scores are as trained. Returns whether anything of the events is compared with.
        """
        ...


@runtime_checkable
class Reconstructs(Protocol):
    """A detector that can show a frame as it reconstructs it, and where it is wrong."""

    def reconstruct(self, video: Video, positions: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Reconstructions in [0, 1] and squared error maps of the frames at N positions, each float32 (N, H, W).

        Means over all windows that cover a frame, as its score is.
        """
        ...


@runtime_checkable
class Explains(Protocol):
    """A detector that can show what in a frame it compared with which normal footage, and how far off that was."""

    @property
    def legend(self) -> str:
        """What each stream looks at, and what a relative distance of 1 is: a line for people."""
        ...

    def explain(self, video: Video, positions: Sequence[int]) -> list[list[Finding]]:
        """Findings in the frames at these positions: objects, the most unusual first, then the whole frame, which is
        alone where no object was detected.
        """
        ...
