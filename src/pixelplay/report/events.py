"""The events of a run as the page shows them: events.json, with the pictures and clips that lie beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from os.path import relpath

import numpy as np

from pixelplay.events.event import Event, Events, Moment
from pixelplay.report.manifest import Manifest, image_uri, picture_of, pictures_of, require_frames
from pixelplay.report.outcome import Outcome, ScoredVideo
from pixelplay.report.tracks import ScoredTrack
from pixelplay.run.artifacts import read_model
from pixelplay.run.files import RunFiles
from pixelplay.videos.index import Index

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class EventItem:
    """An event with its pictures."""

    event: Event
    of: ScoredVideo
    at: int  # position of its video among the test videos
    picture: str  # data URI
    clip: str | None  # path of its MP4, relative to the page
    heat: Pairs  # error maps of the frame at its peak: (detector, data URI)
    neighbours: Pairs  # what was compared there: (detector, data URI)
    track: ScoredTrack | None  # its main one
    track_at: int | None  # position of that among the pictured tracks
    crops: str | None  # data URI: the path of that track over a frame, and crops of it

    @property
    def peak(self) -> int:
        """The position of its peak in its video."""
        return int(np.searchsorted(self.of.numbers, self.event.peak.frame))


@dataclass(frozen=True)
class EventList:
    """The section of events."""

    found: Events
    items: Sequence[EventItem]  # those with pictures, the most severe
    worth: Sequence[str] = ()  # their figures where labels are known


def read_events(files: RunFiles, index: Index) -> Events | None:
    """Those of events.json; None where no events were looked for. Raises DamagedArtifactError.

    Also for a video, or a frame, that the index does not have.
    """
    if not files.events.exists():
        return None
    found = read_model(files.events, Events, made_by="events")
    moments = ((one.video, at.frame) for one in found.events for at in (one.start, one.end, one.peak))
    require_frames(index, moments, files.events, made_by="events")
    return found


def event_items(
    files: RunFiles, found: Events, outcome: Outcome, manifest: Manifest, tracks: Sequence[ScoredTrack]
) -> list[EventItem]:
    """The events that `explain` has pictured."""
    at = {one.video: i for i, one in enumerate(outcome.videos)}
    pictured = {(one.video, one.frame): one for one in manifest.gallery}
    of_track = {(one.pictured.video, one.pictured.track): one for one in tracks}
    items: list[EventItem] = []
    for event in found.events:
        moment = pictured.get((event.video, event.peak.frame))
        if moment is None:
            break
        track = of_track.get((event.video, event.tracks[0].track)) if event.tracks else None
        thumbnail = event.thumbnail and files.events_folder / event.thumbnail
        own = image_uri(thumbnail, "events") if thumbnail and thumbnail.exists() else None
        items.append(
            EventItem(
                event=event,
                of=outcome.videos[at[event.video]],
                at=at[event.video],
                picture=own or picture_of(files, moment),
                clip=event.clip and relpath(files.events_folder / event.clip, files.report.parent).replace("\\", "/"),
                heat=pictures_of(files, moment.heat),
                neighbours=pictures_of(files, moment.neighbours),
                track=track,
                track_at=None if track is None else tracks.index(track),
                crops=picture_of(files, track.pictured) if track else None,
            )
        )
    return items


def event_positions(rank: int, event: Event, one: ScoredVideo) -> dict[str, int]:
    """Positions of an event's start, end and peak in its video."""
    moments = {"from": event.start, "to": event.end, "peak": event.peak}
    return {"rank": rank, **{key: int(np.searchsorted(one.numbers, at.frame)) for key, at in moments.items()}}


def span(event: Event) -> str:
    """`8.20 s to 9.64 s`, or `frames 205 to 241`."""
    start, end = event.start.seconds, event.end.seconds
    if start is None or end is None:
        return f"frames {event.start.frame} to {event.end.frame}"
    return f"{clock(start)} to {clock(end)}"


def when(moment: Moment) -> str:
    """`8.28 s (frame 207)`, or `frame 207`."""
    return f"frame {moment.frame}" if moment.seconds is None else f"{clock(moment.seconds)} (frame {moment.frame})"


def clock(seconds: float) -> str:
    """`8.28 s`, `12:08.3`, `1:12:08`: minutes and hours where there are any."""
    if seconds < 60:
        return f"{seconds:.2f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60}:{seconds % 60:04.1f}"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
