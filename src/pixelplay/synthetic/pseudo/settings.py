"""Settings of planted anomalies."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from pixelplay.settings import NonNegative, Positive, Seed, Settings, Share


def _increasing(values: list[float]) -> list[float]:
    if values[0] > values[1]:
        raise ValueError(f"the first of the two, {values[0]:g}, must not be above the second, {values[1]:g}")
    return values


Interval = Annotated[list[Positive], Field(min_length=2, max_length=2), AfterValidator(_increasing)]


def _distinct(values: list[Any]) -> list[Any]:
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise ValueError(f"{twice[0]} is in it more than once")
    return values


class MovingConfig(Settings):
    """What moves in full-size footage: see `pixelplay.synthetic.pseudo.motion_mask`."""

    background_samples: Annotated[int, Field(ge=1, le=1000)]  # frames that the background is the median of
    threshold: Positive  # grey levels away from the background, at least
    n_sigma: NonNegative  # and this many standard deviations of what stands still
    close_share: Share  # gaps up to this wide are closed; of the frame's shorter side
    min_area: Annotated[float, Field(gt=0, lt=1)]  # of the frame, as is the next
    max_area: Annotated[float, Field(gt=0, le=1)]  # of a thing that is cut out

    @model_validator(mode="after")
    def _areas_ordered(self) -> "MovingConfig":
        if self.min_area > self.max_area:
            raise ValueError(f"min_area={self.min_area:g} is greater than max_area={self.max_area:g}")
        return self


class PatchConfig(Settings):
    """The moving foreign patch; both are drawn anew for every clip."""

    size: Interval  # of the frame's shorter side
    speed: Interval  # of the frame's width, per frame

    @model_validator(mode="after")
    def _fits(self) -> "PatchConfig":
        if self.size[1] >= 1:
            raise ValueError(f"size={self.size}: a patch must be smaller than the frame, so below 1")
        return self


PseudoKind = Literal["foreign_patch", "speed_up", "reversal", "freeze", "wrong_place", "wrong_size"]


class PseudoConfig(Settings):
    """Anomalies planted in held-out normal footage: see `pixelplay.synthetic.pseudo`."""

    kinds: Annotated[list[PseudoKind], AfterValidator(_distinct)]
    seeds: Annotated[list[Seed], Field(max_length=1000), AfterValidator(_distinct)]  # a clip of every kind for each
    frames: Annotated[int, Field(ge=4, le=10_000)]  # of a clip, at most
    anomalous_share: Annotated[float, Field(gt=0, lt=0.5)]  # of a clip that is anomalous
    corrupted: bool  # like the test footage
    speed_factor: Annotated[int, Field(ge=2, le=1000)]  # of speed_up
    size_factor: Annotated[float, Field(gt=1, le=100)]  # of wrong_size
    patch: PatchConfig
    moving: MovingConfig
    context_frames: Annotated[int, Field(ge=0, le=1_000_000)]  # nearest training frames: where things usually move
