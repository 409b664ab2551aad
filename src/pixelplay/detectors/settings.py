"""Settings that every detector has, and those of masks, which detectors and mining share."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pixelplay.settings import FileName, PartialShare, Settings
from pixelplay.videos.settings import FrameFormat


class DetectorConfig(Settings):
    """`training` and `scoring` belong to the algorithm, which validates them: `training` decides what is learned,
    `scoring` only how it scores, so that a change there needs no new training.
    """

    algorithm: FileName
    frames: FrameFormat | None  # null: none from the cache
    training: dict[str, Any]
    scoring: dict[str, Any]


class MaskConfig(Settings):
    """Which tokens are hidden, in `count` masks with a forward pass each: see `pixelplay.detectors.videomae.tokens`.

    random: drawn for each clip. rotating: each token is visible in one of the masks, which are the same for all clips.
    """

    kind: Literal["random", "rotating"]
    count: Annotated[int, Field(ge=1, le=1000)]
    ratio: PartialShare  # of hidden tokens, for random
    tube: bool  # hide the same places at all times

    @model_validator(mode="after")
    def _parts(self) -> "MaskConfig":
        if self.kind == "rotating" and self.count < 2:
            raise ValueError(f"count={self.count}: rotating masks are 2 or more, for example 10")
        return self
