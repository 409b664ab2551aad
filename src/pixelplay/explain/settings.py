"""Settings of the pictures that explain scores."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pixelplay.settings import Fps, FrameNumber, Settings


class ShowConfig(Settings):
    """What the commands that draw pictures show."""

    split: Literal["train", "test"]
    video: str | None  # its id; null: the first, or where scores decide, all of them
    frames: list[FrameNumber]  # numbers of its frames; empty: evenly spaced ones, or where scores decide, their peaks
    count: Annotated[int, Field(ge=1, le=1000)]  # where `frames` names none; explain: and objects of each
    clip: bool  # an MP4 of the whole video, too
    fps: Fps  # frames per second of the clip, where the footage's own are not known

    @model_validator(mode="after")
    def _frames_of_a_video(self) -> "ShowConfig":
        if self.frames and self.video is None:
            raise ValueError(f"frames={self.frames} of which video? set show.video, too")
        return self
