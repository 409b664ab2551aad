"""Which events get a clip and a thumbnail, and what these files are called."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from pixelplay import requirements
from pixelplay.events.event import Event
from pixelplay.settings import NonNegative, Positive, Settings

VERSION = 1  # raised when the same events and frames give other pictures
Count = Annotated[int, Field(ge=0, le=100_000)]


class ClipsConfig(Settings):
    """Keys are explained in `configs/events/default.yaml`."""

    count: Count
    thumbnails: Count
    around: NonNegative
    longest: Positive
    size: Annotated[int, Field(ge=64, le=4096)]


def possible(config: ClipsConfig) -> ClipsConfig:
    """The settings with what this environment has: without PyAV there are no clips."""
    lacking = requirements.lacking(requirements.extras()["video"])
    return config.model_copy(update={"count": 0}) if lacking else config


def with_pictures(events: Sequence[Event], config: ClipsConfig) -> list[Event]:
    """The events, the most severe first, the first ones with the names of their files: these follow from the event."""
    return [
        event.model_copy(
            update={
                "thumbnail": f"{event.id}.jpg" if i < config.thumbnails else None,
                "clip": f"{event.id}.mp4" if i < config.count else None,
            }
        )
        for i, event in enumerate(events)
    ]
