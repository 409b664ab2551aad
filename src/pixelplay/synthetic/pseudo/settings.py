"""Settings of pseudo-anomalies. Keys are explained in `configs/pseudo/`."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from pixelplay.settings import NonNegative, PartialShare, Positive, PositiveShare, Seed, Settings, Share, Unique, one_of


def _increasing(values: list[float]) -> list[float]:
    if values[0] > values[1]:
        raise ValueError(f"the first of the two, {values[0]:g}, must not be above the second, {values[1]:g}")
    return values


Interval = Annotated[list[Positive], Field(min_length=2, max_length=2), AfterValidator(_increasing)]


class MovingConfig(Settings):
    """What moves in full-size footage: see `pixelplay.synthetic.pseudo.motion_mask`."""

    background_samples: Annotated[int, Field(ge=1, le=1000)]
    threshold: Positive
    n_sigma: NonNegative
    close_share: Share
    min_area: PartialShare
    max_area: PositiveShare

    @model_validator(mode="after")
    def _areas_ordered(self) -> "MovingConfig":
        if self.min_area > self.max_area:
            raise ValueError(f"min_area={self.min_area:g} is greater than max_area={self.max_area:g}")
        return self


class PatchConfig(Settings):
    """The moving foreign patch; size and speed are drawn for every clip."""

    size: Interval
    speed: Interval

    @model_validator(mode="after")
    def _fits(self) -> "PatchConfig":
        if self.size[1] >= 1:
            raise ValueError(f"size={self.size}: a patch must be smaller than the frame, so below 1")
        return self


class PseudoConfig(Settings):
    kinds: Annotated[list[Annotated[str, one_of("pixelplay.synthetic.pseudo.kinds:KINDS")]], Unique]
    seeds: Annotated[list[Seed], Field(max_length=1000), Unique]
    frames: Annotated[int, Field(ge=4, le=10_000)]
    anomalous_share: Annotated[float, Field(gt=0, lt=0.5)]
    corrupted: bool
    speed_factor: Annotated[int, Field(ge=2, le=1000)]
    size_factor: Annotated[float, Field(gt=1, le=100)]
    patch: PatchConfig
    moving: MovingConfig
    context_frames: Annotated[int, Field(ge=0, le=1_000_000)]
