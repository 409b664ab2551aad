"""Settings of the report."""

from typing import Annotated

from pydantic import Field

from pixelplay.settings import Fps, Natural, Settings, VideoId


class ReportConfig(Settings):
    """What the report shows, beside figures and curves: see `pixelplay.stages.report`."""

    gallery: Annotated[int, Field(ge=0, le=200)]  # frames: those where the fused score peaks
    per_video: Natural  # of them, at most
    min_gap: Natural  # frames between two of one video, at least
    picture_width: Annotated[int, Field(ge=64, le=1920)]  # pixels
    clips: list[VideoId]  # test videos that are written as annotated MP4s, by their ids
    fps: Fps  # frames per second of the clips, where the footage's own are not known
