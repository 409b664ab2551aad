"""Settings of the pictures that explain scores. Keys are explained in `configs/config.yaml`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pixelplay.settings import Fps, FrameNumber, Settings


class ShowConfig(Settings):
    """Frames that `explain` shows in addition to those of the report: none, unless any of these is set."""

    what: list[Literal["errors", "neighbours", "boxes"]] | None
    split: Literal["train", "test"]
    video: str | None
    frames: list[FrameNumber]
    count: Annotated[int, Field(ge=1, le=1000)]
    clip: bool
    fps: Fps

    @property
    def asked(self) -> bool:
        """Whether any frame is to be shown."""
        return self.video is not None or self.what is not None or self.clip or self.split == "train"

    @model_validator(mode="after")
    def _frames_of_a_video(self) -> "ShowConfig":
        if self.frames and self.video is None:
            raise ValueError(f"frames={self.frames} of which video? set show.video, too")
        return self
