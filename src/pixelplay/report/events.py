"""The events of a run as the page shows them: events.json, with the pictures and clips that lie beside it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os.path import relpath

import numpy as np

from pixelplay.events.event import Event, Events, Moment
from pixelplay.report.manifest import Manifest, image_uri
from pixelplay.report.outcome import Outcome, ScoredVideo
from pixelplay.report.tracks import ScoredTrack
from pixelplay.run.artifacts import damaged, read_model
from pixelplay.run.files import RunFiles
from pixelplay.videos.index import Index

Pairs = Sequence[tuple[str, str]]
LISTED = 100  # events in the table of those without pictures: the rest is in events.csv


@dataclass(frozen=True)
class EventItem:
    """An event with its pictures."""

    rank: int  # from 1, the most severe first
    event: Event
    of: ScoredVideo
    at: int  # position of its video among the test videos
    picture: str | None  # data URI
    clip: str | None  # path of its MP4, relative to the page
    heat: Pairs  # error maps of the frame at its peak: (detector, data URI)
    neighbours: Pairs  # what was compared there: (detector, data URI)
    track: ScoredTrack | None  # its main one
    track_at: int | None  # position of that among the pictured tracks
    crops: str | None  # data URI: the path of that track over a frame, and crops of it

    @property
    def span(self) -> str:
        """`8.20 s to 9.64 s`, or `frames 205 to 241`."""
        return _span(self.event)

    @property
    def frames(self) -> str:
        return f"frames {self.event.start.frame} to {self.event.end.frame}"

    @property
    def marks(self) -> list[tuple[str, str]]:
        """What is known of the frame at its peak: CSS class, text."""
        return self.of.marks_at(int(np.searchsorted(self.of.numbers, self.event.peak.frame)))

    @property
    def shares(self) -> list[tuple[str, float]]:
        """Who saw it: members of the fusion by their share of the score, the largest first."""
        return sorted(self.event.contributions.items(), key=lambda one: -one[1])


@dataclass(frozen=True)
class EventList:
    """The section of events."""

    found: Events
    items: Sequence[EventItem]  # those with pictures
    others: Sequence[tuple[int, Event, str]]  # the next ones: rank, event, when
    left: int  # how many more there are
    worth: Sequence[str] = ()  # their figures where labels are known


def read_events(files: RunFiles, index: Index) -> Events | None:
    """Those of events.json; None where no events were looked for. Raises DamagedArtifactError.

    Also for a video, or a frame, that the index does not have.
    """
    if not files.events.exists():
        return None
    found = read_model(files.events, Events, made_by="events")
    numbers = {video.id: video.numbers for video in index.test}
    for one in found.events:
        for moment in (one.start, one.end, one.peak):
            if moment.frame not in numbers.get(one.video, np.empty(0)):
                raise damaged(files.events, "events", f"video {one.video!r} has no frame {moment.frame}")
    return found


def event_list(
    files: RunFiles,
    found: Events,
    outcome: Outcome,
    manifest: Manifest,
    tracks: Sequence[ScoredTrack],
    worth: Sequence[str],
) -> EventList:
    """The events of the page: those that `explain` has pictured, and a line for each of the others."""
    videos, at = outcome.videos, {one.video: i for i, one in enumerate(outcome.videos)}
    pictured = {(one.video, one.frame): one for one in manifest.gallery}
    of_track = {(one.pictured.video, one.pictured.track): one for one in tracks}
    items: list[EventItem] = []
    for rank, event in enumerate(found.events, 1):
        moment = pictured.get((event.video, event.peak.frame))
        if moment is None:
            break
        track = of_track.get((event.video, event.tracks[0].track)) if event.tracks else None
        items.append(
            EventItem(
                rank=rank,
                event=event,
                of=videos[at[event.video]],
                at=at[event.video],
                picture=_picture(files, event, moment.picture),
                clip=relative(files, event.clip),
                heat=_pictures(files, ((one.detector, one.picture) for one in moment.heat)),
                neighbours=_pictures(files, ((one.detector, one.picture) for one in moment.neighbours)),
                track=track,
                track_at=None if track is None else tracks.index(track),
                crops=image_uri(files.explain / track.pictured.picture, made_by="explain") if track else None,
            )
        )
    rest = [(rank, event, _span(event)) for rank, event in enumerate(found.events, 1)][len(items) :]
    return EventList(found, items, rest[:LISTED], max(len(rest) - LISTED, 0), worth)


def event_positions(rank: int, event: Event, one: ScoredVideo) -> dict[str, int]:
    """Positions of an event's start, end and peak in its video."""
    moments = {"from": event.start, "to": event.end, "peak": event.peak}
    return {"rank": rank, **{key: int(np.searchsorted(one.numbers, at.frame)) for key, at in moments.items()}}


def relative(files: RunFiles, name: str | None) -> str | None:
    """The path from the page to a file of the events' folder."""
    return name and relpath(files.events_folder / name, files.report.parent).replace("\\", "/")


def _picture(files: RunFiles, event: Event, moment: str) -> str:
    """The event's thumbnail; where there is none, the frame of its peak."""
    if event.thumbnail and (files.events_folder / event.thumbnail).exists():
        return image_uri(files.events_folder / event.thumbnail, made_by="events")
    return image_uri(files.explain / moment, made_by="explain")


def _pictures(files: RunFiles, named: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(detector, image_uri(files.explain / name, made_by="explain")) for detector, name in named]


def _span(event: Event) -> str:
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
