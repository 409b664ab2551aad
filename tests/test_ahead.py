"""Frames that are looked at in a thread, one ahead of those that are followed."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from pixelplay.cli import load_config
from pixelplay.detectors.stream import StreamFormat
from pixelplay.errors import DataError
from pixelplay.online.ahead import Ahead, looks
from pixelplay.online.frame import Arrived
from pixelplay.online.perception import Models, Perception, StreamChanged


class Beginning:
    """New perceptions, and what was asked for them: number of the frame, why, and the thread that made it."""

    def __init__(self) -> None:
        config = load_config(["experiment=tiny", "restore.flip=none"])
        self._models = Models(frozenset(), [], config.restore, config.objects)
        self.asked: list[tuple[int, bool, threading.Thread]] = []

    def __call__(self, arrived: Arrived, change: StreamChanged | None) -> Perception:
        self.asked.append((arrived.number, change is not None, threading.current_thread()))
        height, width = arrived.image.shape[:2]
        return Perception(self._models, StreamFormat((width, height), 25.0))


def frame(number: int, width: int = 32, restart: bool = False) -> Arrived:
    return Arrived(number, number / 25, np.full((24, width, 3), number, np.uint8), restart=restart)


FRAMES = [frame(0), frame(1), frame(2, 48), frame(3, 48), frame(4, 48, restart=True)]


def test_looks_are_those_of_one_thread_and_perceptions_are_made_where_they_are_taken():
    alone, ahead = Beginning(), Beginning()
    expected = [(look.arrived.number, look.position) for look in looks(FRAMES, alone)]
    threaded = Ahead(FRAMES, ahead)
    assert [(look.arrived.number, look.position) for look in threaded] == expected
    assert expected == [(0, 0), (1, 1), (2, 0), (3, 1), (4, 0)]
    assert [one[:2] for one in ahead.asked] == [one[:2] for one in alone.asked] == [(0, False), (2, True), (4, False)]
    assert {one[2] for one in ahead.asked} == {threading.current_thread()}
    threaded.close()


def test_an_error_of_the_source_comes_after_all_frames_before_it():
    def broken() -> Iterator[Arrived]:
        yield from FRAMES[:2]
        raise DataError("the camera burns")

    ahead = Ahead(broken(), Beginning())
    taken = [next(ahead).arrived.number for _ in range(2)]
    with pytest.raises(DataError, match="the camera burns"):
        next(ahead)
    assert taken == [0, 1]
    with pytest.raises(DataError):  # again for whoever asks again
        next(ahead)
    ahead.close()


def test_an_error_of_a_new_perception_is_raised_where_it_is_made():
    def refuse(arrived: Arrived, change: StreamChanged | None) -> Perception:
        raise DataError("no such size")

    ahead = Ahead(FRAMES, refuse)
    with pytest.raises(DataError, match="no such size"):
        next(ahead)
    ahead.close()


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_closing_ends_the_thread_wherever_it_is(taken: int):
    threads, endless = threading.active_count(), (frame(number) for number in range(10_000))
    ahead = Ahead(endless, Beginning())
    for _ in range(taken):
        next(ahead)
    start = time.monotonic()
    ahead.close()
    assert time.monotonic() - start < 5 and threading.active_count() == threads
