"""events.csv: the events as rows, for spreadsheets."""

from collections.abc import Iterable

from pixelplay.events.event import Event

COLUMNS = (
    *("event", "video", "found_by", "start_frame", "start_seconds", "end_frame", "end_seconds", "peak_frame"),
    *("peak_seconds", "stream", "score", "threshold", "tail_probability", "contributions", "tracks", "boxes_at_peak"),
    *("zones", "thumbnail", "clip"),
)
SEPARATOR = "; "  # of several values in a cell


def event_rows(events: Iterable[Event]) -> list[list[object]]:
    """A header, and a row per event. An empty cell: not known, or none.

    Of several: `found_by`, `tracks` (ids) and `zones` are separated by semicolons, and so are `contributions`, each
    with its share, and `boxes_at_peak`, each a track's id and its x1 y1 x2 y2 in pixels.
    """
    return [list(COLUMNS), *(_row(event) for event in events)]


def _row(event: Event) -> list[object]:
    boxes = [(one.track, one.box) for one in event.tracks if one.box is not None]
    return [
        *(event.id, event.video, SEPARATOR.join(event.found_by)),
        *(value for at in (event.start, event.end, event.peak) for value in (at.frame, at.seconds)),
        *(event.stream, event.score, event.threshold, event.tail_probability),
        SEPARATOR.join(f"{name} {share:.4f}" for name, share in event.contributions.items()),
        SEPARATOR.join(str(one.track) for one in event.tracks),
        SEPARATOR.join(f"{track}: {' '.join(f'{value:g}' for value in box)}" for track, box in boxes),
        *(SEPARATOR.join(event.zones), event.thumbnail, event.clip),
    ]
