"""Settings of the report. Keys are explained in `configs/config.yaml`."""

from typing import Annotated

from pydantic import Field

from pixelplay.settings import Fps, Natural, NonNegative, Settings, Unique, VideoId


class ReportConfig(Settings):
    gallery: Annotated[int, Field(ge=0, le=200)]
    tracks: Annotated[int, Field(ge=0, le=200)]
    shortest_track: NonNegative
    per_video: Natural
    min_gap: Natural
    picture_width: Annotated[int, Field(ge=64, le=1920)]
    thumbnails_mb: Annotated[float, Field(ge=0, le=100)]
    clips: list[VideoId]
    fps: Fps
    compare: Annotated[list[str], Unique]
