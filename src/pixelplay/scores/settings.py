"""Settings of fusion: from raw scores to one score per frame. Keys are explained in `configs/fusion/`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pixelplay.run.files import OBJECTS as OBJECTS  # the stream of scores that were fused per object
from pixelplay.settings import (
    Bounds,
    ExistingFile,
    Natural,
    NonNegative,
    PartialShare,
    Percentile,
    Positive,
    PositiveShare,
    Settings,
    Share,
    Window,
    one_of,
)

FUSED = "fused"  # the stream that holds the fused scores


class NormaliseConfig(Settings):
    """How one stream's raw scores are brought to a scale: see `pixelplay.scores.normalise`."""

    method: Annotated[
        str, one_of("pixelplay.scores.normalise:FITTED_ON_SCORES,pixelplay.scores.normalise:FITTED_ON_NORMAL")
    ]
    low: Percentile
    high: Percentile
    quantile: PositiveShare
    min_p: PartialShare
    scope: Literal["all", "video"]
    clip: Bounds | None

    @model_validator(mode="after")
    def _ordered(self) -> "NormaliseConfig":
        if self.low >= self.high:
            raise ValueError(f"low={self.low} must be below high={self.high}")
        return self


class SmoothConfig(Settings):
    """How normalised scores are smoothed along a video: see `pixelplay.scores.smooth`."""

    method: Annotated[str, one_of("pixelplay.scores.smooth:SMOOTHERS")]
    window: Window
    sigma: Positive
    decay: PartialShare
    polyorder: Annotated[int, Field(ge=0, le=5)]

    @model_validator(mode="after")
    def _smooths(self) -> "SmoothConfig":
        if self.method == "savitzky_golay" and self.polyorder + 1 >= self.window:
            raise ValueError(
                f"window={self.window}: a polynomial of degree {self.polyorder} goes through that many points and "
                f"smooths nothing; the window must be above {self.polyorder + 1}"
            )
        return self


class MemberConfig(Settings):
    """How one stream of scores is processed before fusion."""

    weight: Annotated[float, Field(ge=0)]
    normalise: NormaliseConfig
    smooth: SmoothConfig


FusionMethod = Annotated[str, one_of("pixelplay.scores.combine:FUSIONS")]
Power = Annotated[float, Field(gt=0)]


class CompositeConfig(Settings):
    """A detector's default stream, recomputed from its other streams once these are on one scale."""

    method: FusionMethod
    power: Power
    streams: Annotated[dict[str, MemberConfig], Field(min_length=1)]  # by name, such as `videopatchcore/spatial`


class CorruptedFramesConfig(Settings):
    """How much corrupted frames count in smoothing: see `pixelplay.scores.restored`."""

    noise_above: NonNegative
    weight: Share


class ObjectFusionConfig(Settings):
    """How the object streams of detectors become one score per object: see `pixelplay.scores.objects`."""

    streams: dict[str, NonNegative]  # weights by stream, such as `videopatchcore/spatial`; 0: not summed
    normalise: NormaliseConfig
    smooth: SmoothConfig
    top: Natural
    weight: NonNegative  # of the member `objects`


class FusionConfig(Settings):
    """Each member is normalised and smoothed, then all are combined.

    `external_default`, `objects` and the entries of `members` and `composites` need only the keys that differ: the rest
    comes from `default`, or for an external member from `external_default`. A composite, made of smoothed parts, is by
    default not smoothed again.
    """

    method: FusionMethod
    power: Power
    bounds: Bounds | None
    select_members: bool
    corrupted_frames: CorruptedFramesConfig
    external: list[ExistingFile]
    default: MemberConfig
    external_default: MemberConfig
    objects: ObjectFusionConfig
    composites: dict[str, CompositeConfig]  # by detector; ignored for detectors that are not in the run
    members: dict[str, MemberConfig]  # by stream, such as `conv_ae` or `conv_ae/mean`

    @field_validator("external")
    @classmethod
    def _distinct(cls, files: list[Path]) -> list[Path]:
        names = [file.stem for file in files]
        for i, name in enumerate(names):
            if name in names[:i]:
                raise ValueError(f"{files[names.index(name)]} and {files[i]} would both be called {name!r}; rename one")
        return files

    @field_validator("external_default", mode="before")
    @classmethod
    def _complete(cls, value: Any, info: ValidationInfo) -> Any:
        return _over(info.data.get("default"), value)

    @field_validator("objects", mode="before")
    @classmethod
    def _complete_objects(cls, value: Any, info: ValidationInfo) -> Any:
        if (base := info.data.get("default")) is None:  # its mistake is reported already
            return ObjectFusionConfig.model_construct()
        if not isinstance(value, dict):
            return value
        scale = base.normalise.model_copy(update={"scope": "all"})
        whole = _merged({"normalise": scale.model_dump(), "smooth": base.smooth.model_dump()}, value)
        if whole["normalise"]["scope"] != "all":
            raise ValueError("normalise.scope: objects of all videos are on one scale")
        return whole

    @field_validator("composites", mode="before")
    @classmethod
    def _complete_parts(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, dict):
            return value
        base = info.data.get("default")

        def complete(composite: Any) -> Any:
            if not isinstance(composite, dict) or not isinstance(composite.get("streams"), dict):
                return composite
            return {**composite, "streams": {name: _over(base, part) for name, part in composite["streams"].items()}}

        return {name: complete(composite) for name, composite in value.items()}

    @field_validator("members", mode="before")
    @classmethod
    def _complete_each(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: _over(_base(name, info.data), member) for name, member in value.items()}

    def base_of(self, stream: str) -> MemberConfig:
        """How a stream is processed that `members` does not name."""
        base = _base(stream, dict(self))
        assert base is not None  # a validated configuration has all its fields
        return base

    @property
    def external_files(self) -> dict[str, Path]:
        """The external files by the name of their stream."""
        return {file.stem: file for file in self.external}


def _base(stream: str, fusion: Mapping[str, Any]) -> MemberConfig | None:
    """The defaults of a member, from the fields of a FusionConfig; None where those are invalid."""
    if stream in {file.stem for file in fusion.get("external", [])}:
        return fusion.get("external_default")
    default = fusion.get("default")
    if default is not None and stream == OBJECTS and "objects" in fusion:
        return default.model_copy(update={"weight": fusion["objects"].weight})
    if default is None or stream not in fusion.get("composites", {}):
        return default
    return default.model_copy(update={"smooth": default.smooth.model_copy(update={"method": "none"})})


def _over(base: MemberConfig | None, value: Any) -> Any:
    """`value` with what it leaves out from `base`; a placeholder where `base` is invalid, which is reported already."""
    if base is None:
        return MemberConfig.model_construct()
    return _merged(base.model_dump(), value) if isinstance(value, dict) else value


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {key for key, value in over.items() if isinstance(value, dict) and isinstance(base.get(key), dict)}
    return {**base, **over, **{key: _merged(base[key], over[key]) for key in both}}
