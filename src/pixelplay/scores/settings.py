"""Settings of what is done with raw scores until there is one score per frame."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pixelplay.settings import ExistingFile, NonNegative, Positive, Settings, Share, Window

FUSED = "fused"  # the stream that holds the fused scores


Bounds = Annotated[list[float], Field(min_length=2, max_length=2)]
Quantile = Annotated[float, Field(gt=0, le=1)]


class NormaliseConfig(Settings):
    """How one stream's raw scores are brought to a scale: see `pixelplay.scores.normalise`."""

    method: Literal[
        "none",
        "minmax",
        "percentile",
        "rank",
        "robust_z",
        "calibrated",
        "calibrated_z",
        "calibrated_minmax",
        "calibrated_tail",
    ]
    low: Annotated[float, Field(ge=0, le=100)]  # percentiles, for `percentile`
    high: Annotated[float, Field(ge=0, le=100)]
    quantile: Quantile  # of held-out normal scores, which `calibrated_minmax` brings to 1
    min_p: Annotated[float, Field(gt=0, lt=1)]  # share of normal scores: `calibrated_tail` is 1 there
    scope: Literal["all", "video"]  # learn from all videos at once, or from each for itself
    clip: Bounds | None  # bounds of the normalised scores, whatever the method

    @model_validator(mode="after")
    def _ordered(self) -> "NormaliseConfig":
        if self.low >= self.high:
            raise ValueError(f"low={self.low} must be below high={self.high}")
        if self.clip and self.clip[0] >= self.clip[1]:
            raise ValueError(f"clip={self.clip}: the first bound must be below the second")
        return self


class SmoothConfig(Settings):
    """How normalised scores are smoothed along a video: see `pixelplay.scores.smooth`."""

    method: Literal[
        "none",
        "moving_average",
        "gaussian",
        "median",
        "savitzky_golay",
        "ema",
        "causal_moving_average",
        "causal_gaussian",
        "causal_median",
    ]
    window: Window  # frames, for the moving averages, the medians and `savitzky_golay`
    sigma: Positive  # frames, for the Gaussians
    decay: Annotated[float, Field(gt=0, lt=1)]  # what a frame's weight is multiplied by from frame to frame, for `ema`
    polyorder: Annotated[int, Field(ge=0, le=5)]  # degree, for `savitzky_golay`

    @model_validator(mode="after")
    def _smooths(self) -> "SmoothConfig":
        if self.method == "savitzky_golay" and self.polyorder + 1 >= self.window:
            raise ValueError(
                f"window={self.window}: a polynomial of degree {self.polyorder} goes through that many points and "
                f"smooths nothing; the window must be above {self.polyorder + 1}"
            )
        return self


class MemberConfig(Settings):
    """What is done with one stream of scores before it is fused."""

    weight: Annotated[float, Field(ge=0)]
    normalise: NormaliseConfig
    smooth: SmoothConfig


FusionMethod = Literal["weighted_mean", "power_mean", "maximum", "product", "rank_mean"]
Power = Annotated[float, Field(gt=0)]  # for `power_mean`


class CompositeConfig(Settings):
    """A detector's default stream made anew of its other streams, once these are on one scale."""

    method: FusionMethod
    power: Power
    streams: Annotated[dict[str, MemberConfig], Field(min_length=1)]  # by name, for instance `videopatchcore/spatial`


class CorruptedFramesConfig(Settings):
    """How much corrupted frames count where scores are smoothed: see `pixelplay.scores.restored`."""

    noise_above: NonNegative  # noise level, grey levels of 255, of the frames that count less
    weight: Share  # of a frame that was that noisy or flipped; 1: like any other, 0: filled from its neighbours


class FusionConfig(Settings):
    """How raw scores become one score per frame: each member normalised and smoothed, then all combined.

    `external_default`, and the entries of `members` and of `composites`, need only say what differs: the rest is taken
    from `default`, or for an external member from `external_default`. A composite, of smoothed parts, is not smoothed
    again by default.
    """

    method: FusionMethod
    power: Power
    bounds: Bounds | None  # of members that are normalised to a z, where several are combined
    select_members: bool  # leave out members that `pixelplay.ablation.judges` rejects
    corrupted_frames: CorruptedFramesConfig
    external: list[ExistingFile]  # CSVs in submission format; each joins as the stream called like the file's stem
    default: MemberConfig  # for a detector that `members` does not name
    external_default: MemberConfig  # for an external file that `members` does not name
    composites: dict[str, CompositeConfig]  # by detector; what is not scored in this run is left out
    members: dict[str, MemberConfig]  # by stream name, for instance `conv_ae` or `conv_ae/mean`

    @field_validator("bounds")
    @classmethod
    def _ordered(cls, bounds: list[float] | None) -> list[float] | None:
        if bounds and bounds[0] >= bounds[1]:
            raise ValueError(f"bounds={bounds}: the first bound must be below the second")
        return bounds

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
    """What holds for a member where it says nothing else, by fields of FusionConfig; None where those are invalid."""
    if stream in {file.stem for file in fusion.get("external", [])}:
        return fusion.get("external_default")
    default = fusion.get("default")
    if default is None or stream not in fusion.get("composites", {}):
        return default
    return default.model_copy(update={"smooth": default.smooth.model_copy(update={"method": "none"})})


def _over(base: MemberConfig | None, value: Any) -> Any:
    """`base` with what `value` says in its place; a placeholder where `base` is invalid, which is told already."""
    if base is None:
        return MemberConfig.model_construct()
    return _merged(base.model_dump(), value) if isinstance(value, dict) else value


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {key for key, value in over.items() if isinstance(value, dict) and isinstance(base.get(key), dict)}
    return {**base, **over, **{key: _merged(base[key], over[key]) for key in both}}
