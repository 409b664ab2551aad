"""How tubes are cut around tracks: numbers by hand, and properties of any box in any image."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.footage import followed

from pixelplay.objects.settings import TubeConfig
from pixelplay.objects.tracks import Tracks
from pixelplay.objects.tubes import Tubes, squares, tubes
from pixelplay.videos.windows import causal_windows, windows


def square(*box: float, size: tuple[int, int] = (100, 80), enlarge: float = 1.0) -> list[int]:
    return squares(np.array([box], np.float32), size, enlarge)[0].tolist()


# --- squares --------------------------------------------------------------------------------------------------------


def test_squares_by_hand():
    assert square(40, 20, 50, 40) == [35, 20, 55, 40]  # 10 x 20 around (45, 30): a side of 20
    assert square(40, 20, 60, 30) == [40, 15, 60, 35]
    assert square(40, 20, 50, 40, enlarge=1.5) == [30, 15, 60, 45]
    assert square(40.5, 20.5, 50.5, 40.5) == [36, 21, 56, 41]  # half a pixel, rounded up
    assert square(0, 0, 10, 40) == [0, 0, 25, 40]  # clipped at the left: -15 to 25
    assert square(95, 70, 100, 80) == [93, 70, 100, 80]  # and at the right: 92.5 to 102.5
    assert square(0, 0, 100, 80) == [0, 0, 100, 80]  # 100 x 100 around (50, 40) in an image of 80 rows
    assert squares(np.empty((0, 4), np.float32), (100, 80), 1.2).shape == (0, 4)


@st.composite
def boxes_in_images(draw: st.DrawFn) -> tuple[tuple[int, int], np.ndarray]:
    size = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    edges = []
    for side in size:
        low = draw(st.integers(0, 100 * side - 1)) / 100
        edges.append((low, draw(st.integers(round(100 * low) + 1, 100 * side)) / 100))
    return size, np.array([[edges[0][0], edges[1][0], edges[0][1], edges[1][1]]], np.float32)


@given(boxes_in_images(), st.floats(1, 3))
def test_any_square_lies_in_the_image_and_holds_its_box(case, enlarge: float):
    (width, height), box = case
    x1, y1, x2, y2 = squares(box, (width, height), enlarge)[0]
    assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
    assert x1 <= box[0, 0] + 1 and y1 <= box[0, 1] + 1 and x2 >= box[0, 2] - 1 and y2 >= box[0, 3] - 1
    side = np.ceil(np.float64((box[:, 2:] - box[:, :2]).max()) * enlarge).clip(1)
    assert x2 - x1 <= side and y2 - y1 <= side
    if x1 > 0 and x2 < width:
        assert x2 - x1 == side
    if y1 > 0 and y2 < height:
        assert y2 - y1 == side


@given(boxes_in_images(), st.floats(0.1, 3))
def test_many_boxes_are_squared_as_each_alone(case, enlarge: float):
    size, box = case
    several = np.concatenate([box, box * 0.5, box])
    together = squares(several, size, enlarge)
    assert np.array_equal(together, np.concatenate([squares(one[None], size, enlarge) for one in several]))


# --- tubes of clips -------------------------------------------------------------------------------------------------

SIZE = (100, 80)
CLIPS = windows(10, 4, 3)  # 0..3, 3..6, 6..9


def found(tracks: Tracks, positions: np.ndarray = CLIPS, causal: bool = False) -> list[Tubes]:
    return list(tubes(tracks, positions, SIZE, TubeConfig(enlarge=1.0), causal))


def test_a_tube_has_the_track_s_own_box_in_each_frame_and_else_the_nearest_in_the_clip():
    """Boxes of 10 x 20, squared: 20 x 20 around their centres; 2 pixels a frame; none in frames 0 and 2."""
    walker = followed(*((t, 1, 40 + 2 * t, 20, 50 + 2 * t, 40) for t in (1, 3)))
    (one,) = found(walker, CLIPS[:1])
    assert one.track.tolist() == [1]
    assert one.square[0, :, 0].tolist() == [37, 37, 37, 41], "frame 2 has the earlier of two equally near"
    assert one.square[0, 1].tolist() == [37, 20, 57, 40]


def test_a_track_is_in_the_clips_with_half_of_their_frames_and_a_shorter_one_in_its_best():
    long = [(t, 1, 10, 10, 20, 30) for t in range(5)]  # 4 frames of the first clip, 2 of the second, none of the third
    once = [(6, 2, 50, 10, 60, 30)]  # one frame, which the last two clips have
    assert [one.track.tolist() for one in found(followed(*long, *once))] == [[1], [1, 2], []]
    assert found(followed(*long, *once))[1].square[1].tolist() == [[45, 10, 65, 30]] * 4


def test_half_of_a_padded_clip_is_half_of_its_different_frames():
    padded = np.array([[0, 1, 1, 1]])
    (one,) = found(followed((0, 1, 10, 10, 20, 30), (1, 2, 50, 10, 60, 30)), padded)
    assert one.track.tolist() == [1, 2]


def test_causally_a_clip_has_the_tracks_of_its_last_frame():
    tracks = followed(*((t, 1, 10, 10, 20, 30) for t in range(3)), (3, 2, 50, 10, 60, 30))
    assert [one.track.tolist() for one in found(tracks, causal_windows(5, 4, 1), causal=True)] == [[1]] * 3 + [[2], []]


def test_no_tracks_no_tubes():
    assert [one.square.shape for one in found(followed())] == [(0, 4, 4)] * 3


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(1, 6)), unique=True, max_size=60), st.integers(1, 8))
def test_every_track_has_a_tube(rows: list[tuple[int, int]], length: int):
    tracks = followed(*((t, track, track, track, track + 5, track + 9) for t, track in rows))
    there = {int(track) for one in found(tracks, windows(30, length, length)) for track in one.track}
    assert there == {track for _, track in rows}
