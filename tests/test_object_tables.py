"""Object tables as they are measured: read by stream and video, each row in the frame that it names."""

from pathlib import Path

import numpy as np
import pandas as pd

from pixelplay.evaluation.object_streams import COORDINATES, read_streams
from pixelplay.videos.video import Video

COLUMNS = ["split", "video", "frame", "track", *COORDINATES, "stream", "score"]


def video(name: str, frames: int, first: int = 0) -> Video:
    return Video(name, "test", np.arange(first, first + frames), (20, 10), Path("nowhere"))


def table(*rows: tuple[str, str, int, str, float]) -> pd.DataFrame:
    """Rows of split, video, frame, stream, score; the box's x1 is the score."""
    made = [(split, name, frame, -1, s, 0.0, s + 5, 5.0, stream, s) for split, name, frame, stream, s in rows]
    return pd.DataFrame(made, columns=COLUMNS)


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
    assert (time.name, time.detector, space.name) == ("d/time", "d", "d/space")
    of_b = time.of_video(video("b", 3))
    assert (of_b.frame.tolist(), of_b.score.tolist()) == ([0, 1, 2], [2.0, 4.0, 1.0])
    assert of_b.xyxy.tolist() == [[2, 0, 7, 5], [4, 0, 9, 5], [1, 0, 6, 5]]
    assert space.of_video(video("b", 3)).score.tolist() == [3.0]
    assert len(time.of_video(video("a", 5))) == 0
    assert [one.tolist() for one in (*time.normal, *space.normal)] == [[6.0], [7.0]]


def test_frames_without_rows_stay_without_boxes():
    rows = [("test", "a", frame, "d/x", 1.0) for frame in (2, 5, 8)]
    [stream] = read_streams("d", table(*rows), [video("a", 11)])
    assert stream.of_video(video("a", 11)).frame.tolist() == [2, 5, 8]
