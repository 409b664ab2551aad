"""Objects of events that a person called normal, as detectors of this family read objects."""

from collections.abc import Iterable

import numpy as np

from pixelplay.detectors.object_streams.detector import Objects
from pixelplay.events.vectors import EventVectors
from pixelplay.objects.tracks import Tracks


def objects_of(events: Iterable[EventVectors], need: str | None = None) -> list[Objects]:
    """Each followed object of the events, with its vectors called `need`, which events without such have none of.

    Without `need` objects have no values. Positions of their tracks are frame numbers.
    """
    found = []
    for event in events:
        values = event.vectors.get(need) if need else np.empty((len(event.frame), 0), np.float32)
        if values is not None:
            whole = Objects(_tracks(event), values)
            found += [whole[event.track == track] for track in np.unique(event.track)]
    return found


def _tracks(event: EventVectors) -> Tracks:
    count = len(event.frame)
    box, sure = np.full(count, -1), np.ones(count, np.float32)
    return Tracks(event.frame, event.xyxy, event.label, sure, event.track, np.zeros(count, bool), box)
