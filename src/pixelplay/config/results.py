"""Settings of commands that show results, or hand them in."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pixelplay.config.settings import ExistingFile, Fps, FrameNumber, Natural, Settings, VideoId


class ShowConfig(Settings):
    """Which frames `explain` pictures beside those of the report: none, unless any of these is set."""

    what: list[Literal["errors", "neighbours", "boxes"]] | None  # null: all that the run's detectors offer
    split: Literal["train", "test"]
    video: str | None  # its id; null: the first, or where scores decide, all of them
    frames: list[FrameNumber]  # numbers of its frames; empty: evenly spaced ones, or where scores decide, their peaks
    count: Annotated[int, Field(ge=1, le=1000)]  # frames, where `frames` names none, and objects of each
    clip: bool  # boxes: an MP4 of the whole video, too
    fps: Fps  # frames per second of the clip, where the footage's own are not known

    @property
    def asked(self) -> bool:
        """Whether any frame is to be shown."""
        return self.video is not None or self.what is not None or self.clip or self.split == "train"

    @model_validator(mode="after")
    def _frames_of_a_video(self) -> "ShowConfig":
        if self.frames and self.video is None:
            raise ValueError(f"frames={self.frames} of which video? set show.video, too")
        return self


class SubmitConfig(Settings):
    """What `submit` does with the run's submission once it is valid."""

    send: bool  # to Kaggle; without it nothing leaves this machine
    message: Annotated[str, Field(min_length=1)] | None  # null: the run's name and the fingerprint of its fusion
    competition: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")] | None  # as in its address on kaggle.com
    sample: ExistingFile | None  # sample_submission.csv; null: the data set's, where it has one


class ReportConfig(Settings):
    """What the report shows, beside figures and curves: see `pixelplay.stages.report`."""

    gallery: Annotated[int, Field(ge=0, le=200)]  # frames: those where the fused score peaks
    per_video: Natural  # of them, at most
    min_gap: Natural  # frames between two of one video, at least
    picture_width: Annotated[int, Field(ge=64, le=1920)]  # pixels
    clips: list[VideoId]  # test videos that are written as annotated MP4s, by their ids
    fps: Fps  # frames per second of the clips, where the footage's own are not known
