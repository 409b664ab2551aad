"""Frames that are looked at in a thread, one ahead of those that are followed."""

import threading
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from pixelplay.cli import load_config
from pixelplay.errors import DataError
from pixelplay.online.ahead import Ahead, looks
from pixelplay.online.frame import Arrived
from pixelplay.online.perception import Look, Models


def looking(frames: Iterable[Arrived]) -> Iterator[Look]:
    config = load_config(["experiment=tiny", "restore.flip=none"])
    return looks(frames, Models(frozenset(), [], config.restore, config.objects), 25.0, "cam")


def frame(number: int, width: int = 32, seconds: float | None = None, restart: bool = False) -> Arrived:
    image = np.full((24, width, 3), number, np.uint8)
    return Arrived(number, number / 25 if seconds is None else seconds, image, restart=restart)


FRAMES = [frame(0), frame(1), frame(2, 48), frame(3, 48), frame(4, 48, restart=True), frame(5, 48, seconds=0.0)]


def test_looks_are_those_of_one_thread_and_another_perception_begins_where_frames_do_not_go_on(
    caplog: pytest.LogCaptureFixture,
):
    alone, ahead = looking(FRAMES), Ahead(looking(FRAMES))
    for found in (list(alone), list(ahead)):
        assert [(look.arrived.number, look.position) for look in found] == [
            (0, 0), (1, 1), (2, 0), (3, 1), (4, 0), (5, 0)
        ]  # fmt: skip
        assert len({id(look.by) for look in found}) == 4
        assert [look.by.footage.size for look in found] == [(32, 24)] * 2 + [(48, 24)] * 4
    told = [record.message for record in caplog.records]
    assert told == 2 * [
        "cam: frame 2: 48x24 pixels, after frames of 32x24: tracks and detectors begin anew",
        "cam: frame 5: at 0 s, after one at 0.16 s: tracks and detectors begin anew",
    ]
    ahead.close()
    assert list(ahead) == []  # and waits for nothing


def test_an_error_of_the_source_comes_after_all_frames_before_it():
    def broken() -> Iterator[Arrived]:
        yield from FRAMES[:2]
        raise DataError("the camera burns")

    ahead = Ahead(looking(broken()))
    taken = [next(ahead).arrived.number for _ in range(2)]
    with pytest.raises(DataError, match="the camera burns"):
        next(ahead)
    assert taken == [0, 1]
    with pytest.raises(DataError):  # again for whoever asks again
        next(ahead)
    ahead.close()


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_closing_ends_the_thread_wherever_it_is(taken: int):
    ahead = Ahead(looking(frame(number) for number in range(10_000)))
    for _ in range(taken):
        next(ahead)
    ahead.close()
    assert "looking ahead" not in [thread.name for thread in threading.enumerate()]
