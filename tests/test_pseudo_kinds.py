"""What each kind of pseudo-anomaly changes, and nothing else: on a walker whose place in every frame is known."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plaza import HEIGHT, SPEED, TALL, TOP, WIDE, WIDTH, ground, left_of, piece, settings, walk, walker_mask

from pixelplay.synthetic.pseudo.cutouts import CutOut, cut_out_things, foreign_patch, irregular_shape, paste, reflected
from pixelplay.synthetic.pseudo.drawn import ball, cart, color_on, parcel
from pixelplay.synthetic.pseudo.events import LEAST, Event, Length, NoUseError, Piece, length_in, needed
from pixelplay.synthetic.pseudo.kinds import KINDS
from pixelplay.synthetic.pseudo.motion_mask import Blob, Scene, Survey, Usual, steps_of, stood_in
from pixelplay.synthetic.pseudo.object_kinds import Drawing

CONFIG = settings(frames=150)
IN_TIME = ("speed_up", "reversal", "freeze")
OF_OBJECTS = ("foreign_object", "against_stream", "standing", "left_object", "throwing")
IN_SPACE = ("foreign_patch", "wrong_place", "wrong_size", *OF_OBJECTS)
LENGTH = Length(60, 18)


def planted(kind: str, footage: Piece | np.ndarray, length: Length = LENGTH, seed: int = 0) -> Event:
    one = footage if isinstance(footage, Piece) else piece(footage, CONFIG)
    return KINDS[kind](one, length, CONFIG, np.random.default_rng(seed))


def changed(event: Event, frames: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(frame before, frame after, mask) of each anomalous frame."""
    before = [frames[event.shown[t]] for t in range(event.first, event.stop)]
    return [(frame, *event.change(i, frame)) for i, frame in enumerate(before)]


def box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


# --- lengths --------------------------------------------------------------------------------------------------------


def test_every_kind_of_the_configuration_can_be_planted():
    assert set(KINDS) == set(IN_TIME) | set(IN_SPACE)


@pytest.mark.parametrize(
    ("kind", "available", "expected"),
    [
        ("freeze", 1000, Length(150, 45)),
        ("freeze", 100, Length(100, 30)),
        ("speed_up", 1000, Length(150, 45)),
        ("speed_up", 180, Length(112, 34)),  # 112 + 2 * 34 = 180, and 113 + 2 * 34 is more
        ("reversal", 5, Length(5, 1)),
        ("reversal", 4, Length(4, 1)),
        ("reversal", 3, None),
        ("speed_up", 6, Length(4, 1)),
        ("speed_up", 5, None),
        ("wrong_size", 0, None),
    ],
)
def test_a_clip_is_as_long_as_asked_for_or_as_the_footage_allows(kind: str, available: int, expected: Length | None):
    assert length_in(available, kind, CONFIG) == expected


@given(
    st.integers(LEAST, 200),
    st.floats(0.01, 0.499),
    st.integers(2, 6),
    st.sampled_from(IN_TIME),
    st.integers(0, 5),
)
def test_events_in_time_lie_inside_their_clip_and_show_frames_in_steps_without_a_cut(
    available: int, share: float, speed: int, kind: str, seed: int
):
    config = CONFIG.model_copy(update={"anomalous_share": share, "speed_factor": speed})
    length = length_in(available, kind, config)
    if length is None:
        return
    count = needed(length, kind, config)
    assert count <= available
    scene = Scene(np.zeros((4, 4), np.uint8), config.moving)
    survey = Survey(scene, [], np.zeros((4, 4)), np.random.default_rng(seed).uniform(0.1, 1, count))
    nothing = Usual(np.zeros((4, 4), np.float32), np.empty((0, 6)), np.empty((0, 4)))
    footage = Piece(np.zeros((count, 4, 4, 3), np.uint8), survey, lambda: nothing)
    event = KINDS[kind](footage, length, config, np.random.default_rng(seed))
    assert 1 <= event.first < event.stop <= length.frames - 1
    assert event.stop - event.first == length.anomalous
    steps = np.diff(event.shown, prepend=-1)
    step = {"speed_up": speed, "reversal": -1, "freeze": 0}[kind]
    assert (steps[event.first : event.stop] == step).all()
    assert (np.delete(steps, np.arange(event.first, event.stop)) == 1).all()
    assert event.shown.min() == 0 and event.shown.max() < count


# --- events in time -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", IN_TIME)
def test_events_in_time_change_no_pixel_and_their_masks_show_who_moves(kind: str):
    frames = walk(100)
    event = planted(kind, frames)
    positions = event.shown[event.first : event.stop]
    for t, (before, after, mask) in zip(positions, changed(event, frames), strict=True):
        assert (after == before).all()
        walker = walker_mask(t)
        near = cv2.dilate(walker.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0  # the blur is seen 2 pixels away
        assert mask[walker].all() and not mask[~near].any()


@pytest.mark.parametrize("kind", IN_TIME)
def test_events_in_time_take_place_where_somebody_walks(kind: str):
    late = np.concatenate([np.repeat(ground()[None], 60, axis=0), walk(64)])
    for seed in range(5):
        event = planted(kind, late, Length(100, 12), seed)
        shown = event.shown[event.first : event.stop]
        assert np.mean([t >= 60 and walker_mask(t - 60).any() for t in shown]) >= 0.7


def test_a_reversal_goes_back_over_what_was_just_seen():
    event = planted("reversal", walk(100))
    first, n = event.first, event.stop - event.first
    assert event.shown[first : event.stop].tolist() == [first - 2 - i for i in range(n)]
    assert event.shown[event.stop] == first - n


@pytest.mark.parametrize("kind", IN_TIME)
def test_nothing_is_planted_in_time_where_nothing_moves(kind: str):
    with pytest.raises(NoUseError, match="hardly anything moves"):
        planted(kind, np.repeat(ground()[None], 100, axis=0))


# --- events in space ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", IN_SPACE)
@pytest.mark.parametrize("seed", range(4))
def test_what_is_pasted_changes_what_its_mask_says_and_nothing_else(kind: str, seed: int):
    frames = walk(80)
    frames.setflags(write=False)
    event = planted(kind, frames, seed=seed)
    assert (event.shown == np.arange(LENGTH.frames)).all()
    assert event.first > 0 and event.stop == event.first + 18 < LENGTH.frames
    seen = []
    for before, after, mask in changed(event, frames):
        assert (after[~mask] == before[~mask]).all()
        assert mask.any()
        seen.append(np.abs(after[mask].astype(int) - before[mask]).max(axis=1) > CONFIG.moving.threshold)
    assert np.concatenate(seen).mean() > 0.5


def test_a_wrong_place_is_one_where_nobody_walks():
    frames = walk(80)
    usual = np.zeros((HEIGHT, WIDTH), np.float32)
    usual[:12] = 0.5  # where others walk at other times
    for seed in range(5):
        event = planted("wrong_place", piece(frames, CONFIG, usual), seed=seed)
        for _, _, mask in changed(event, frames):
            assert mask[TOP : TOP + TALL].sum() < 0.2 * mask.sum()
            assert mask[:12].sum() < 0.2 * mask.sum()


def test_who_is_in_a_wrong_place_walks_as_he_walked():
    frames = walk(80)
    event = planted("wrong_place", frames)
    lefts = [box(mask)[0] for _, _, mask in changed(event, frames)]
    assert set(np.diff(lefts)) == {SPEED}
    for _, after, mask in changed(event, frames):
        left, top, right, bottom = box(mask)
        assert WIDE <= right - left <= WIDE + 4 and TALL <= bottom - top <= TALL + 4
        middle = after[(top + bottom) // 2, (left + right) // 2]
        assert (middle == 40).all(), "his body, dark as it was"


def test_where_people_walk_everywhere_no_place_is_wrong():
    everywhere = np.ones((HEIGHT, WIDTH), np.float32)
    with pytest.raises(NoUseError, match="things move everywhere"):
        planted("wrong_place", piece(walk(80), CONFIG, everywhere))


def test_a_giant_is_twice_as_large_and_stands_where_the_walker_stood():
    frames = walk(80)
    event = planted("wrong_size", frames)
    footprints = set()
    for _, _, mask in changed(event, frames):
        left, top, right, bottom = box(mask)
        assert abs(bottom - top - 2 * TALL) <= 6 and abs(right - left - 2 * WIDE) <= 6
        assert abs(bottom - (TOP + TALL)) <= 3
        footprints.add(round((left + right) / 2 - WIDE / 2))
    assert any(abs(foot - left_of(t)) <= 2 for foot in footprints for t in range(80))


def test_who_is_too_large_for_a_giant_becomes_a_dwarf():
    frames = walk(80)
    frames[:, 20:TOP] = np.where(walk(80)[:, TOP : TOP + 1] < 100, 40, frames[:, 20:TOP])  # 44 of 80 pixels high
    event = planted("wrong_size", frames)
    for _, _, mask in changed(event, frames):
        _, top, _, bottom = box(mask)
        assert abs(bottom - top - 22) <= 4
        assert abs(bottom - (TOP + TALL)) <= 3


@pytest.mark.parametrize("kind", IN_SPACE[1:])
def test_nothing_is_cut_out_where_nothing_moves(kind: str):
    with pytest.raises(NoUseError, match="nothing moves through it"):
        planted(kind, np.repeat(ground()[None], 60, axis=0))


@pytest.mark.parametrize("kind", ["wrong_place", "wrong_size"])
def test_what_would_not_be_seen_is_not_pasted(kind: str):
    """He is as dark as all but a bright strip that he walks on; three times as large he stands out of it."""
    frames = walk(80, wide=20)
    frames[frames < 100] = 40
    frames[:, : TOP - 2] = frames[:, TOP + TALL + 2 :] = (40, 40, 40)
    config = settings(size_factor=3.0)
    with pytest.raises(NoUseError, match="stand out from the ground"):
        KINDS[kind](piece(frames, config), LENGTH, config, np.random.default_rng(0))


def test_a_patch_has_the_size_and_the_speed_asked_for_and_stays_in_the_frame():
    frames = np.repeat(ground()[None], 60, axis=0)
    shortest, longest = (share * min(HEIGHT, WIDTH) for share in CONFIG.patch.size)
    slowest, fastest = (share * WIDTH for share in CONFIG.patch.speed)
    for seed in range(8):
        boxes = [box(mask) for *_, mask in changed(planted("foreign_patch", frames, seed=seed), frames)]
        sides = {(right - left, bottom - top) for left, top, right, bottom in boxes}
        assert len(sides) == 1  # never cut off
        assert 0.5 * shortest <= min(sides.pop()) <= longest + 1
        path = np.array([left for left, *_ in boxes])
        assert np.abs(np.diff(path)).max() <= fastest + 1
        if (np.diff(path) >= 0).all() or (np.diff(path) <= 0).all():  # no turn at the frame's edge
            assert slowest * 17 - 1 <= abs(path[-1] - path[0]) <= fastest * 17 + 1


@pytest.mark.parametrize("level", [0, 100, 255])
def test_a_patch_stands_out_even_where_there_is_no_texture_to_make_it_of(level: int):
    frames = np.full((60, HEIGHT, WIDTH, 3), level, np.uint8)
    for before, after, mask in changed(planted("foreign_patch", frames), frames):
        assert np.abs(after[mask].astype(int) - before[mask]).mean() > 20


def test_a_patch_fits_into_a_frame_that_is_hardly_larger():
    frames = np.random.default_rng(0).integers(0, 255, (20, 5, 6, 3), np.uint8)
    assert all(mask.any() for *_, mask in changed(planted("foreign_patch", frames, Length(20, 6)), frames))


@pytest.mark.parametrize("kind", IN_SPACE)
def test_grey_footage_stays_grey(kind: str):
    frames = walk(80, gray=True)
    for _, after, _ in changed(planted(kind, frames), frames):
        assert (after == after[..., :1]).all()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_same_seed_plants_the_same_and_another_something_else(kind: str):
    frames = walk(100)
    one, same, other = (planted(kind, frames, seed=seed) for seed in (3, 3, 4))
    assert (one.first, one.stop) == (same.first, same.stop)
    pairs = zip(changed(one, frames), changed(same, frames), strict=True)
    assert all((a == b).all() for left, right in pairs for a, b in zip(left, right, strict=True))
    differs = [a != b for a, b in zip(changed_bytes(one, frames), changed_bytes(other, frames), strict=True)]
    assert any(differs) or one.first != other.first


def changed_bytes(event: Event, frames: np.ndarray) -> list[bytes]:
    return [after.tobytes() for _, after, _ in changed(event, frames)]


# --- objects --------------------------------------------------------------------------------------------------------


def boxes_of(kind: str, footage: Piece | np.ndarray, seed: int = 0) -> np.ndarray:
    """Left, top, right and bottom of what is planted, in each anomalous frame: (n, 4)."""
    one = footage if isinstance(footage, Piece) else piece(footage, CONFIG)
    return np.array([box(mask) for *_, mask in changed(planted(kind, one, seed=seed), one.frames)])


@pytest.mark.parametrize("seed", range(4))
def test_a_cart_is_wider_than_high_and_rolls_as_fast_as_somebody_walks(seed: int):
    found = boxes_of("foreign_object", walk(80), seed)
    assert found.shape == (18, 4) and set(np.abs(np.diff(found[:, 0])).tolist()) <= {SPEED, 0, 1}
    assert (np.abs(np.diff(found[:, 0])) == SPEED).sum() >= 15  # it may turn at the frame's edge
    sizes = found[:, 2:] - found[:, :2]
    assert (sizes[:, 0] > sizes[:, 1]).all()
    assert (sizes[:, 1] >= 0.5 * TALL - 1).all() and (sizes[:, 1] <= 0.7 * (TALL + 7) + 1).all()
    assert (np.abs(found[:, 3] - (TOP + TALL)) <= 3).all(), "on the walker's ground"


def test_who_goes_against_the_stream_walks_the_way_back_mirrored():
    frames = walk(80)
    frames[..., :] = np.where((frames == 40).all(axis=-1, keepdims=True), 40, frames)
    for t, frame in enumerate(frames):  # his front is darker
        frame[TOP + 5 : TOP + TALL, max(left_of(t) + WIDE // 2, 0) : max(left_of(t) + WIDE, 0)] = 10
    event = planted("against_stream", frames)
    found = np.array([box(mask) for *_, mask in changed(event, frames)])
    assert set(np.diff(found[:, 0]).tolist()) == {-SPEED} and np.ptp(found[:, 1]) == 0
    for _, after, mask in changed(event, frames):
        left, top, right, bottom = box(mask)
        assert after[(top + bottom) // 2, left + 2, 0] < 20 < 35 < after[(top + bottom) // 2, right - 3, 0]


def test_nobody_goes_against_a_stream_that_goes_both_ways():
    """His own steps go right, and as many of others left."""
    steps = [[x, TOP, x + WIDE, TOP + TALL, -10, 0] for x in range(10, 110, 5)]
    with pytest.raises(NoUseError, match="where all go one way"):
        planted("against_stream", piece(walk(80), CONFIG, steps=steps))
    elsewhere = np.array(steps) - [0, 30, 0, 30, 0, 0]
    assert planted("against_stream", piece(walk(80), CONFIG, steps=elsewhere)).stop > 0


def test_who_stands_does_not_move_and_stands_where_the_walker_was_and_nobody_else_stands():
    frames = walk(80)
    stood = [[0, TOP, 60, TOP + TALL], [40, TOP, 80, TOP + TALL]]  # their feet are at 30 and 60
    for seed in range(4):
        event = planted("standing", piece(frames, CONFIG, stood=stood), seed=seed)
        found = changed(event, frames)
        assert all((mask == found[0][2]).all() for *_, mask in found)
        left, top, right, bottom = box(found[0][2])
        inside = np.s_[top + 5 : bottom - 5, left + 3 : right - 3]
        assert all((after[inside] == found[0][1][inside]).all() for _, after, _ in found)
        assert abs(top - TOP) <= 3 and abs(bottom - TOP - TALL) <= 3
        foot = (left + right) / 2
        assert abs(foot - 30) > 9 and abs(foot - 60) > 9
    everywhere = [[x, TOP, x + WIDE, TOP + TALL] for x in range(0, WIDTH, 4)]
    with pytest.raises(NoUseError, match="stand everywhere"):
        planted("standing", piece(frames, CONFIG, stood=everywhere))


def test_a_parcel_appears_where_the_walker_is_and_stays_when_he_is_gone():
    frames = walk(80)
    for seed in range(4):
        event = planted("left_object", frames, seed=seed)
        found = np.array([box(mask) for *_, mask in changed(event, frames)])
        assert len(np.unique(found, axis=0)) == 1
        left, top, right, bottom = found[0].tolist()
        assert abs((left + right) / 2 - left_of(event.first) - WIDE / 2) <= 2 and abs(bottom - TOP - TALL) <= 3
        assert 0.25 * TALL - 1 <= bottom - top <= 0.35 * (TALL + 4) + 1
        assert left_of(event.stop) > right, "he has left it"


def test_nobody_leaves_anything_who_comes_too_late():
    late = np.concatenate([np.repeat(ground()[None], 44, axis=0), walk(64)])[:80]
    with pytest.raises(NoUseError, match="early enough"):
        planted("left_object", late)


@pytest.mark.parametrize("seed", range(4))
def test_a_ball_flies_fast_on_a_parabola_to_and_fro(seed: int):
    found = boxes_of("throwing", walk(80), seed)
    middles = (found[:, :2] + found[:, 2:]) / 2
    steps = np.abs(np.diff(middles[:, 0]))
    assert np.median(steps) >= 4 * SPEED - 1 and steps.max() <= 7 * SPEED + 1
    assert (found[:, 0] >= 0).all() and (found[:, 2] <= WIDTH).all() and (found[:, 1] >= 0).all()
    size = np.median(found[:, 2] - found[:, 0])
    assert 3 <= size <= 0.25 * (TALL + 4) + 1
    # The height is the same at the same place, on the way there and back: y = a (x - b)^2 + c, with its vertex on top.
    fit = np.polyfit(*middles.T, 2)
    assert fit[0] > 0 and np.abs(np.polyval(fit, middles[:, 0]) - middles[:, 1]).max() <= 1.5


@pytest.mark.parametrize("kind", OF_OBJECTS)
@pytest.mark.parametrize("factor", [0.3, 2.5])
def test_objects_are_planted_in_small_and_large_frames(kind: str, factor: float):
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    frames = np.stack([cv2.resize(frame, None, fx=factor, fy=factor, interpolation=how) for frame in walk(80)])
    event = planted(kind, frames, seed=1)
    for before, after, mask in changed(event, frames):
        assert after.shape == before.shape and mask.any() and (after[~mask] == before[~mask]).all()
        left, top, right, bottom = box(mask)
        assert max(right - left, bottom - top) <= factor * 2 * TALL + 4


@pytest.mark.parametrize("draw", [cart, parcel, ball])
def test_what_is_drawn_is_as_high_as_asked_for_opaque_inside_and_of_its_colour(draw: Drawing):
    color = np.array([200.0, 150.0, 100.0])
    for height in (3, 7, 30):
        pixels, alpha = draw(height, color, np.random.default_rng(0))
        assert pixels.shape == (*alpha.shape, 3) and len(alpha) == height
        assert alpha.min() >= 0 and alpha.max() == 1
        middle = pixels[int(0.45 * height), alpha.shape[1] // 2]
        np.testing.assert_allclose(middle, color, rtol=0.31)  # in light or in shade
    assert all((one == same).all() for one, same in zip(draw(9, color, rng()), draw(9, color, rng()), strict=True))


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_a_colour_is_bright_on_dark_ground_dark_on_bright_ground_and_grey_on_grey():
    assert color_on(np.full((9, 3), 60, np.uint8), rng()).tolist() == [215, 215, 215]
    assert color_on(np.full((9, 3), 190, np.uint8), rng()).tolist() == [45, 45, 45]
    colored = color_on(np.tile(np.array([190, 180, 170], np.uint8), (9, 1)), rng())
    assert 0.6 * 45 <= colored.min() < colored.max() <= 45


# --- cutting out ----------------------------------------------------------------------------------------------------


def things(frames: np.ndarray, count: int = 20) -> list[list[CutOut]]:
    survey = Survey.of(frames, CONFIG.moving)
    return list(cut_out_things(frames, survey, count, np.random.default_rng(0)))


def test_a_thing_is_cut_out_as_it_is_and_without_the_ground_around_it():
    frames = walk(64)
    [thing] = things(frames)
    assert len(thing) == 20
    for cut in thing:
        opaque = cut.alpha > 0.9
        assert (cut.pixels[opaque].max(axis=1) <= 90).all()  # the ground is brighter than 150
        assert cut.pixels[cut.alpha > 0].max() <= 90
        assert 0.6 * WIDE * TALL <= (cut.alpha > 0).sum() <= WIDE * TALL
    feet = np.array([cut.foot for cut in thing])
    assert np.allclose(np.diff(feet[:, 0]), SPEED) and np.ptp(feet[:, 1]) == 0


def test_a_thing_is_followed_only_while_all_of_it_is_in_the_frame():
    frames = walk(80)
    [thing] = things(frames, count=1000)
    whole = [t for t in range(80) if left_of(t) > 2 and left_of(t) + WIDE + 2 < WIDTH]
    assert abs(len(thing) - len(whole)) <= 2


def test_two_who_meet_are_not_taken_for_one():
    frames = walk(64)
    for t, frame in enumerate(frames):  # another one comes the other way, in the same lane
        left = WIDTH - left_of(t) - WIDE
        frame[TOP : TOP + TALL, max(left, 0) : max(left + WIDE, 0)] = 70
    for thing in things(frames, count=1000):
        widths = [np.flatnonzero((cut.alpha > 0).any(axis=0)) for cut in thing]
        assert max(columns[-1] - columns[0] for columns in widths) <= 1.6 * WIDE


def test_who_only_stirs_is_no_thing_that_moves_through():
    frames = np.repeat(ground()[None], 60, axis=0)
    for t in range(0, 60):
        frames[t, 20:40, 50 : 58 + (t % 20) // 4] = 40  # one side goes out and back
    frames[:40:2, 20:40, 50:63] = ground()[20:40, 50:63]  # often away, so that he is not the background
    assert things(frames) == []


def test_the_largest_and_longest_comes_first():
    frames = walk(64)
    for t in range(64):
        left = left_of(t)
        frames[t, 10:16, max(left, 0) : max(left + 5, 0)] = 20
    large, small = things(frames)
    assert (large[0].alpha > 0).sum() > 3 * (small[0].alpha > 0).sum()


def test_to_and_fro():
    assert [reflected(i, 3) for i in range(9)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert [reflected(i, 0) for i in range(3)] == [0, 0, 0]
    assert [reflected(i, 1) for i in range(4)] == [0, 1, 0, 1]


# --- pasting --------------------------------------------------------------------------------------------------------


def test_paste_mixes_by_opacity_and_cuts_off_what_lies_outside():
    frame = np.full((4, 5, 3), 100, np.uint8)
    pixels, alpha = np.full((3, 3, 3), 200, np.uint8), np.array([[0, 0.5, 1]] * 3, np.float32)
    result, mask = paste(frame, pixels, alpha, (3, -1))
    assert result[..., 0].tolist() == [[100, 100, 100, 100, 150]] * 2 + [[100] * 5] * 2
    assert mask.tolist() == [[False] * 4 + [True]] * 2 + [[False] * 5] * 2
    assert (frame == 100).all()
    result, mask = paste(frame, pixels, alpha, (-9, 0))
    assert (result == frame).all() and not mask.any()


def test_a_foreign_patch_is_a_turned_negative_of_the_footage():
    frames = np.zeros((1, 8, 8, 3), np.uint8)
    frames[0, :, :, :] = np.linspace(0, 224, 8, dtype=np.uint8)[:, None, None]  # brighter downwards
    patch = foreign_patch(frames, 8, np.random.default_rng(0)).astype(int)
    assert np.ptp(patch, axis=0).max() == 0  # now from side to side
    assert abs(patch.mean() - 128) < 2 and abs(patch.std() - 48) < 2
    rightwards = np.diff(patch[0, :, 0])
    assert (rightwards > 0).all() or (rightwards < 0).all()


@given(st.integers(4, 60), st.integers(0, 100))
def test_a_shape_is_opaque_in_the_middle_and_clear_at_the_corners(side: int, seed: int):
    alpha = irregular_shape(side, np.random.default_rng(seed))
    assert alpha.shape == (side, side) and alpha.min() == 0 and alpha.max() <= 1
    assert alpha[0, 0] == alpha[0, -1] == alpha[-1, 0] == alpha[-1, -1] == 0
    assert alpha[side // 2, side // 2] > 0
    assert side < 16 or alpha[side // 2, side // 2] == 1


# --- scenes ---------------------------------------------------------------------------------------------------------


def test_the_background_is_what_stands_still_and_noise_alone_does_not_move():
    frames = walk(63)
    rng = np.random.default_rng(0)
    noisy = np.clip(frames + rng.normal(0, 10, frames.shape), 0, 255).astype(np.uint8)
    scene = Scene.of(noisy, CONFIG.moving)
    assert np.abs(scene.background.astype(int) - cv2.GaussianBlur(ground(), (0, 0), 1)).mean() < 3
    empty = np.clip(ground() + rng.normal(0, 10, ground().shape), 0, 255).astype(np.uint8)
    assert not scene.moving(empty).any()
    assert scene.moving(noisy[30])[walker_mask(30)].mean() > 0.9


def test_a_survey_tells_where_and_when_things_move():
    frames = np.concatenate([walk(64), np.repeat(ground()[None], 36, axis=0)])
    survey = Survey.of(frames, CONFIG.moving)
    assert survey.used[TOP + 2 : TOP + TALL - 2, 20:100].min() >= WIDE / SPEED / 100 - 1e-6  # frames that he covers it
    assert survey.used[: TOP - 3].max() == 0
    assert (survey.activity[10:60] > 0).all() and (survey.activity[70:] == 0).all()
    assert [len(blobs) for blobs in survey.blobs[10:60]] == [1] * 50
    [blob] = survey.blobs[30]
    x1, y1, x2, y2 = blob.xyxy
    assert abs(x1 - left_of(30)) <= 2 and abs(x2 - x1 - WIDE) <= 4 and abs(y2 - y1 - TALL) <= 4


def test_steps_and_who_stood_by_hand():
    """One goes right by 6 pixels a frame; another stands for 7 frames and then leaves; a third stands too shortly."""
    walker = [Blob((10 + 6 * t, 0, 20 + 6 * t, 20), 200) for t in range(9)]
    waiting = [Blob((50 + x, 40, 60 + x, 60), 200) for x in (0, 1, -1, 0, 1, 2, -2, 6, 12)]
    short = [Blob((80 + x, 70, 90 + x, 90), 200) for x in (0, 0, 0, 0, 0, 0, 8, 16, 24)]
    frames = [list(some) for some in zip(walker, waiting, short, strict=True)]
    steps = steps_of(frames)
    assert steps.shape == (24, 6)
    assert steps[0].tolist() == [10, 0, 20, 20, 6, 0] and steps[1].tolist() == [50, 40, 60, 60, 1, 0]
    assert stood_in(frames).tolist() == [[50, 40, 60, 60]]
    assert steps_of(frames[:1]).shape == (0, 6) and stood_in([]).shape == (0, 4)


def test_regions_smaller_than_asked_for_do_not_move():
    frames = np.repeat(ground()[None], 40, axis=0)
    frames[10, 30:32, 30:32] = 0  # at most 6 x 6 pixels once blurred
    small = CONFIG.moving.model_copy(update={"min_area": 37 / (WIDTH * HEIGHT)})
    assert Survey.of(frames, small).blobs[10] == []
    assert len(Survey.of(frames, small.model_copy(update={"min_area": 4 / (WIDTH * HEIGHT)})).blobs[10]) == 1
