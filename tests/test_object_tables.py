"""Object tables as they are measured: read by stream and video, and spread over the frames between clips."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pixelplay.errors import DataError
from pixelplay.stages.object_tables import COLUMNS, ScoredBoxes, read_streams, scoring_grid, spread_boxes
from pixelplay.videos.video import Video
from pixelplay.videos.windows import windows


def video(name: str, frames: int, first: int = 0) -> Video:
    return Video(name, "test", np.arange(first, first + frames), (20, 10), Path("nowhere"))


def table(*rows: tuple[str, str, int, str, float]) -> pd.DataFrame:
    """Rows of split, video, frame, stream, score; the box's x1 is the score."""
    made = [(split, name, frame, -1, s, 0.0, s + 5, 5.0, stream, s) for split, name, frame, stream, s in rows]
    return pd.DataFrame(made, columns=COLUMNS)


def boxes(*position: int) -> ScoredBoxes:
    """A box in each of these frames, its score the frame's position."""
    number = np.array(position, np.int64)
    xyxy = np.stack([number, number, number + 2, number + 2], axis=1).astype(float).reshape(-1, 4)
    return ScoredBoxes(number, xyxy, number.astype(float), number + 100)


def sources(spread: ScoredBoxes, frames: int) -> list[list[int]]:
    """Whose boxes each frame has, by the position that they were scored in."""
    return [spread.score[spread.position == frame].astype(int).tolist() for frame in range(frames)]


@pytest.mark.parametrize("frames", [23, 25, 28, 30])
def test_every_frame_takes_the_boxes_of_the_nearest_clips_centre(frames: int):
    centres = np.unique(windows(frames, 10, 5)[:, 5])
    spread = spread_boxes(boxes(*centres), frames, every=5, first=5)
    nearest = [centres[np.argmin(np.abs(centres - frame))] for frame in range(frames)]  # the first of two as near
    assert sources(spread, frames) == [[center] for center in nearest]
    assert np.array_equal(spread.track, spread.score + 100)
    assert np.array_equal(spread.xyxy[:, 0], spread.score)


def test_frames_around_a_centre_without_objects_have_none():
    spread = spread_boxes(boxes(5, 15), 20, every=5, first=5)
    assert sources(spread, 20) == [[5]] * 8 + [[]] * 5 + [[15]] * 7


def test_all_boxes_of_a_centre_go_together():
    spread = spread_boxes(boxes(1, 1, 4), 6, every=3, first=1)
    assert sources(spread, 6) == [[1, 1], [1, 1], [1, 1], [4], [4], [4]]


def test_where_every_frame_is_scored_a_frame_without_objects_stays_without():
    scored = boxes(0, 1, 4)
    assert spread_boxes(scored, 6, every=1, first=0) is scored
    assert len(spread_boxes(ScoredBoxes.none(), 6, every=5, first=5)) == 0


def test_a_video_shorter_than_the_way_to_the_first_centre_is_covered():
    assert sources(spread_boxes(boxes(2), 3, every=5, first=5), 3) == [[2]] * 3


def test_the_grid_is_found_from_the_boxes_alone():
    centres = [np.repeat([5, 10, 15, 18], 3), np.array([10, 20, 25, 30]), np.array([], int)]
    assert scoring_grid(centres) == (5, 5)
    assert scoring_grid([np.array([0, 1, 2, 3, 9])]) == (1, 0)
    assert scoring_grid([np.array([7])]) == (1, 0)  # one frame tells no distance
    assert scoring_grid([]) == (1, 0)


def test_streams_are_apart_and_frame_numbers_become_positions():
    rows = table(
        ("test", "b", 102, "d/time", 1.0),
        ("test", "b", 100, "d/time", 2.0),
        ("test", "b", 100, "d/space", 3.0),
        ("test", "b", 101, "d/time", 4.0),
        ("test", "unknown", 7, "d/time", 5.0),
        ("calibration", "b", 100, "d/time", 6.0),
        ("calibration", "z", 0, "d/space", 7.0),
    )
    time, space = read_streams("d", rows, [video("a", 5), video("b", 3, first=100)])
    assert (time.name, time.detector, time.every, space.name) == ("d/time", "d", 1, "d/space")
    of_b = time.of_video(video("b", 3))
    assert (of_b.position.tolist(), of_b.score.tolist()) == ([0, 1, 2], [2.0, 4.0, 1.0])
    assert of_b.xyxy.tolist() == [[2, 0, 7, 5], [4, 0, 9, 5], [1, 0, 6, 5]]
    assert space.of_video(video("b", 3)).score.tolist() == [3.0]
    assert len(time.of_video(video("a", 5))) == 0
    assert (time.normal.tolist(), space.normal.tolist()) == ([6.0], [7.0])


def test_all_streams_of_a_table_have_one_grid():
    rows = [("test", "a", frame, "d/x", 1.0) for frame in (2, 5, 8)] + [("test", "a", 5, "d/y", 1.0)]
    x, y = read_streams("d", table(*rows), [video("a", 11)])
    assert (x.every, y.every) == (3, 3)
    assert x.of_video(video("a", 11)).position.tolist() == list(range(11))
    assert y.of_video(video("a", 11)).position.tolist() == [4, 5, 6]


def test_a_table_that_is_none_is_refused():
    with pytest.raises(DataError, match=r"d's object scores: video a has no frame 5: run `python src/score\.py` again"):
        read_streams("d", table(("test", "a", 5, "d", 1.0)), [video("a", 5)])
    with pytest.raises(DataError, match="d's object scores lack column 'track'"):
        read_streams("d", table().drop(columns="track"), [video("a", 5)])
