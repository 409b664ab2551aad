"""An event: what a run found unusual, where, when, and why. `events.json` is a list of these with their threshold."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

FileName = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]  # in the folder of the file that names it
Source = Literal["frames", "objects", "dwell"]
Box = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels of the full-size frame


class Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Moment(Written):
    """A frame of a video: its number, and its time from the start of the video where the frame rate is known."""

    frame: int
    seconds: float | None


class EventTrack(Written):
    """An object that was followed through an event."""

    track: int
    label: str  # its class
    score: float  # its highest in the event
    box: Box | None  # at the event's peak; None where it is not in that frame
    path: list[tuple[int, float, float]]  # frame, and the middle of its lower edge in pixels; at most 500


class Event(Written):
    """A stretch of a video whose score is unusual, or an object whose track is."""

    id: str  # unique in the run, and a file's name
    video: str
    found_by: list[Source]  # fused score of frames, a track's score, its time in a zone
    start: Moment
    end: Moment  # the last frame of it
    peak: Moment
    score: float  # at the peak, of `stream`
    stream: str  # `fused`, `objects` where a track alone was found, or `dwell`: seconds that a track spent in a zone
    threshold: float  # of that stream
    tail_probability: float | None  # share of normal frames, or tracks, expected to score as high; None: not known
    contributions: dict[str, float]  # share of the score at its peak by member; they add up to 1, or of `dwell`: {}
    tracks: list[EventTrack]  # the highest score first
    zones: list[str]  # names of those that its tracks touch; of `dwell`, first the one that its score is of
    thumbnail: FileName | None  # None: the event is not among those that get pictures
    clip: FileName | None


class Alarm(Written):
    """The threshold of a stream, and what it is worth."""

    stream: str
    method: Literal["evt", "percentile", "fixed", "adaptive"]
    threshold: float  # an event starts above it; of an adaptive one, that of the first frame
    end_threshold: float  # and ends below this
    parameters: dict[str, Any]  # of the method
    expected: float | None  # false alarms per normal frame, at most, at the configured confidence
    expected_per_hour: float | None  # independent ones; None where the frame rate is not known
    remark: str | None  # why the rate that was asked for can't be promised


class Events(Written):
    """What stage `events` found in the test videos, the most severe first."""

    alarms: list[Alarm]  # of `fused`, then of `objects` where objects are scored
    no_alarm: dict[str, str]  # why, by stream that has no threshold, and so no events
    heldout_frames: int  # normal footage that thresholds come from
    heldout_seconds: float | None
    events: list[Event]
