"""Moving blobs: found where something moves, and nowhere else, whatever the noise, the light and the camera do."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pipeline import cached_video
from tests.recorded_moments import causal_blobs

from pixelplay.cli import load_config
from pixelplay.errors import ConfigError
from pixelplay.objects.boxes import Boxes, iou
from pixelplay.objects.motion import Background, CausalBackground, blobs, detect, parts, scenes
from pixelplay.objects.settings import MotionConfig, SplitConfig
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video

HEIGHT, WIDTH = 96, 160
CONFIG = load_config(["objects=default"]).objects.motion.model_copy(
    update={"frames": FrameFormat(height=HEIGHT, width=WIDTH, gray=True)}
)
WALKER = (12, 30)  # width and height


def scene(seed: int = 0) -> np.ndarray:
    """A still scene of smooth patches and some hard edges, float (H, W), 50 to 200."""
    patches = np.random.default_rng(seed).normal(0, 1, (HEIGHT, WIDTH))
    ground = 120 + 250 * cv2.GaussianBlur(patches, (0, 0), 6)
    ground[:, 70:74] += 60
    ground[:20] -= 40
    return np.clip(ground, 50, 200)


def walker(t: int, row: int = 40) -> np.ndarray:
    """Where the walker is in frame t: x1, y1, x2, y2."""
    x = 4 + 2 * (t % 70)
    return np.array([x, row, x + WALKER[0], row + WALKER[1]], np.float32)


def footage(count: int, seed: int = 0, moves: bool = True, contrast: float = 60.0) -> np.ndarray:
    """A dark figure that walks through the scene, float (T, H, W)."""
    frames = np.repeat(scene(seed)[None], count, axis=0)
    for t in range(count if moves else 0):
        x1, y1, x2, y2 = walker(t).astype(int)
        frames[t, y1:y2, x1:x2] -= contrast
    return frames


def as_frames(values: np.ndarray, noise: float = 0.0) -> np.ndarray:
    drawn = np.random.default_rng(7).normal(0, 1, values.shape) * noise
    return np.clip(np.rint(values + drawn), 0, 255).astype(np.uint8)


def found(
    folder: Path, frames: np.ndarray, config: MotionConfig = CONFIG, size: tuple[int, int] | None = None
) -> Boxes:
    video = cached_video(folder, "v", frames)
    if size:
        video = Video("v", "train", video.numbers, size, video.folder)
    return detect(video, config)


def check_walker(boxes: Boxes, count: int, least: float = 0.6) -> None:
    """One box in every frame, around the walker."""
    assert boxes.position.tolist() == list(range(count))
    overlap = np.array([iou(boxes.xyxy[t : t + 1], walker(t)[None])[0, 0] for t in range(count)])
    assert overlap.min() > least


def test_a_walker_is_found_in_every_frame_and_nothing_else(tmp_path: Path):
    boxes = found(tmp_path, as_frames(footage(60), noise=2))
    check_walker(boxes, 60)
    assert set(boxes.label.tolist()) == {"motion"}
    assert boxes.confidence.min() > 0.6 and boxes.confidence.max() < 1


def test_a_box_by_hand(tmp_path: Path):
    """A block of 20 x 30 that is 100 darker than a plain ground, blurred by a pixel: the blurred edge, 100 Phi(x), is
    31 half a pixel outside and 7 after another pixel, so one more pixel counts on each side, but for the corners (31 %
    of 31). What is left of 100 x 600 in these 22 x 32 - 4 pixels is 82 a pixel.
    """
    config = CONFIG.model_copy(update={"blur": 1.0})
    ground = np.full((HEIGHT, WIDTH), 150.0)
    frame = ground.copy()
    frame[30:60, 50:70] -= 100
    background = Background.of(as_frames(ground[None]), config)
    boxes, confidence = blobs(as_frames(frame), background, config)
    assert boxes.tolist() == [[49, 29, 71, 61]]
    assert confidence[0] == pytest.approx(82 / (82 + 10), abs=0.005)


@pytest.mark.parametrize("noise", [6.0, 12.0, 23.0])
def test_noise_makes_no_blobs_and_hides_no_walker(tmp_path: Path, noise: float):
    """23 is the heavy noise of the competition before frames are made smaller."""
    check_walker(found(tmp_path, as_frames(footage(60, contrast=90), noise)), 60)
    assert len(found(tmp_path, as_frames(footage(60, moves=False), noise))) == 0


def test_some_noisy_frames_among_clean_ones(tmp_path: Path):
    frames = as_frames(footage(60, contrast=90), noise=1)
    noisy = np.random.default_rng(0).permutation(60) < 20
    frames[noisy] = as_frames(footage(60, contrast=90), noise=23)[noisy]
    check_walker(found(tmp_path, frames), 60)


def test_flicker_of_the_light_is_no_motion(tmp_path: Path):
    gain = 1 + 0.15 * np.sin(np.arange(60))[:, None, None]
    offset = 10 * np.cos(np.arange(60) / 2)[:, None, None]
    check_walker(found(tmp_path, as_frames(footage(60) * gain + offset, noise=2)), 60)
    assert len(found(tmp_path, as_frames(footage(60, moves=False) * gain + offset, noise=2))) == 0


def test_a_camera_that_shakes_by_a_pixel_is_no_motion(tmp_path: Path):
    still = footage(60, moves=False)
    shifts = np.random.default_rng(1).integers(-1, 2, (60, 2))
    shaken = np.stack([np.roll(frame, shift, (0, 1)) for frame, shift in zip(still, shifts, strict=True)])
    assert len(found(tmp_path, as_frames(shaken[:, 2:-2, 2:-2], noise=1), small(-4))) == 0
    unaware = found(tmp_path, as_frames(shaken[:, 2:-2, 2:-2], noise=1), small(-4).model_copy(update={"jitter_px": 0}))
    assert len(unaware) > 10


def small(change: int) -> MotionConfig:
    frames = FrameFormat(height=HEIGHT + change, width=WIDTH + change, gray=True)
    return CONFIG.model_copy(update={"frames": frames})


def test_a_scene_in_which_nothing_moves_has_no_boxes(tmp_path: Path):
    boxes = found(tmp_path, as_frames(footage(30, moves=False)))
    assert len(boxes) == 0 and boxes.xyxy.shape == (0, 4)
    assert len(found(tmp_path, np.zeros((5, HEIGHT, WIDTH), np.uint8))) == 0
    assert len(found(tmp_path, as_frames(footage(1)))) == 0  # of one frame, all is background


def test_boxes_are_in_pixels_of_the_full_size_frame(tmp_path: Path):
    frames = as_frames(footage(40), noise=2)
    usual = found(tmp_path, frames)
    large = found(tmp_path, frames, size=(WIDTH * 4, HEIGHT * 3))
    np.testing.assert_allclose(large.xyxy, usual.xyxy * [4, 3, 4, 3])
    x2, y2 = large.xyxy[:, 2:].max(axis=0)
    assert x2 <= WIDTH * 4 and y2 <= HEIGHT * 3


def test_parts_of_one_figure_are_one_blob_and_two_figures_are_two():
    ground = np.full((HEIGHT, WIDTH), 150.0)
    background = Background.of(as_frames(ground[None]), CONFIG)
    frame = ground.copy()
    frame[20:32, 50:62] = 60
    frame[36:60, 50:62] = 60  # 4 rows below, of which blurring leaves 2
    frame[20:60, 100:112] = 60
    assert len(blobs(as_frames(frame), background, CONFIG)[0]) == 2


def pair(gap: int, waist: int) -> np.ndarray:
    """Two figures of 12 x 40, `gap` apart, that touch over the lowest `waist` rows: bool (40, 24 + gap)."""
    blob = np.zeros((40, 24 + gap), bool)
    blob[:, :12] = blob[:, 12 + gap :] = True
    blob[40 - waist :, 12 : 12 + gap] = True
    return blob


def test_people_side_by_side_are_cut_apart_where_they_touch():
    found = parts(pair(3, 6), CONFIG.split)
    assert [(rows.start, rows.stop) for rows, _ in found] == [(0, 40)] * 2
    (_, first), (_, second) = found
    assert first.start == 0 and first.stop == second.start in range(12, 16) and second.stop == 27


def test_each_part_has_the_rows_that_it_fills():
    blob = pair(3, 6)
    blob[:10, 15:] = False  # the one on the right is smaller
    assert [(rows.start, rows.stop) for rows, _ in parts(blob, CONFIG.split)] == [(0, 40), (10, 40)]


def test_what_has_no_waist_is_one_object_however_wide():
    assert parts(np.ones((20, 90), bool), CONFIG.split) == [(slice(0, 20), slice(0, 90))]
    assert len(parts(pair(3, 38), CONFIG.split)) == 1, "38 of 40 rows is no waist"
    assert len(parts(pair(3, 6), CONFIG.split.model_copy(update={"valley": 0.0}))) == 1, "0: nothing is cut"
    assert len(parts(pair(3, 6), CONFIG.split.model_copy(update={"min_aspect": 1.0}))) == 1, "narrower than it is high"


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**16),
    wide=st.floats(0.1, 3),
    valley=st.floats(0, 1),
    narrowest=st.floats(0, 1),
)
def test_parts_share_the_whole_blob_and_are_as_wide_as_asked_for(
    seed: int, wide: float, valley: float, narrowest: float
):
    config = SplitConfig(min_aspect=wide, valley=valley, min_width=narrowest)
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 40, 2)
    tops = rng.integers(0, height, width)
    blob = np.arange(height)[:, None] >= tops  # every column holds something, as in a blob that is connected
    covered = np.zeros(blob.shape, int)
    found = parts(blob, config)
    for rows, columns in found:
        covered[rows, columns] += 1
        assert blob[rows, columns].any(axis=1)[[0, -1]].all(), "as tight as can be"
        least = max(2, round(narrowest * (rows.stop - rows.start)))
        assert len(found) == 1 or columns.stop - columns.start >= least
    assert (covered[blob] == 1).all()


def test_specks_are_too_small_and_very_small_objects_are_a_setting(tmp_path: Path):
    ground = np.full((HEIGHT, WIDTH), 150.0)
    background = Background.of(as_frames(ground[None]), CONFIG)
    frame = ground.copy()
    frame[50:53, 50:53] = 60
    assert len(blobs(as_frames(frame), background, CONFIG)[0]) == 0
    assert len(blobs(as_frames(frame), background, CONFIG.model_copy(update={"min_area": 10}))[0]) == 1


def test_a_scene_that_changes_slowly_gets_a_background_for_each_block(tmp_path: Path):
    """An object that is put down for the second half of a long video is still background of its own block."""
    frames = footage(120)
    frames[60:, 70:90, 100:120] = 20
    config = CONFIG.model_copy(update={"background_frames": 60})
    check_walker(found(tmp_path, as_frames(frames, noise=2), config), 120)
    whole = found(tmp_path, as_frames(frames, noise=2))
    assert len(whole) > 120  # with one background it is seen in half of the frames


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_boxes_of_any_footage_lie_within_the_image_and_are_finite(tmp_path_factory, seed: int, count: int):
    rng = np.random.default_rng(seed)
    frames = cv2.resize(rng.integers(0, 256, (12, 20, count), dtype=np.uint8), (WIDTH, HEIGHT)).reshape(
        HEIGHT, WIDTH, count
    )
    boxes = found(tmp_path_factory.mktemp("any"), np.ascontiguousarray(frames.transpose(2, 0, 1)))
    assert np.isfinite(boxes.xyxy).all() and np.isfinite(boxes.confidence).all()
    assert ((boxes.xyxy[:, :2] >= 0) & (boxes.xyxy[:, :2] < boxes.xyxy[:, 2:])).all()
    assert (boxes.xyxy[:, 2:] <= [WIDTH, HEIGHT]).all()
    assert ((boxes.confidence >= 0.5) & (boxes.confidence <= 1)).all()


def test_frames_of_any_bright_or_dark_level_are_compared(tmp_path: Path):
    """The light goes down to a half: the walker is still the only thing that moves."""
    gain = np.linspace(1, 0.55, 60)[:, None, None]
    check_walker(found(tmp_path, as_frames(footage(60, contrast=90) * gain, noise=1)), 60, least=0.5)


def test_progress_is_told(tmp_path: Path):
    told: list[int] = []
    video = cached_video(tmp_path, "v", as_frames(footage(45)))
    detect(video, CONFIG.model_copy(update={"background_frames": 20}), told.append)
    assert sum(told) == 45 and len(told) > 1


def test_colour_is_refused():
    with pytest.raises(ConfigError, match="gray must be true"):
        load_config(["objects.motion.frames.gray=false"])


# --- causally -------------------------------------------------------------------------------------------------------

SHORT = CONFIG.model_copy(update={"background_frames": 20, "background_samples": 5})  # every fourth frame


def causally(folder: Path, frames: np.ndarray, known: tuple[np.ndarray, ...] = ()) -> Boxes:
    return causal_blobs(cached_video(folder, "v", frames), SHORT, known)


def test_a_causal_background_is_the_median_of_the_last_samples_of_past_frames():
    """Of frames 0 to 22 every fourth is a sample, the last five of which are 4, 8, …, 20; of frame 9, 0, 4 and 8."""
    frames = np.random.default_rng(0).integers(0, 256, (23, HEIGHT, WIDTH), dtype=np.uint8)
    so_far = CausalBackground(SHORT)
    found = [so_far.step(frame) for frame in frames]
    for t, samples in ((0, [0]), (3, [0]), (4, [0, 4]), (9, [0, 4, 8]), (22, [4, 8, 12, 16, 20])):
        expected = Background.of(frames[samples], SHORT)
        for name in ("image", "darkest", "brightest", "dark", "bright"):
            assert np.array_equal(getattr(found[t], name), getattr(expected, name)), (t, name)
    assert found[7] is found[4]  # a new one only when a sample is new


def test_causally_later_frames_alter_nothing(tmp_path: Path):
    frames = as_frames(footage(40), noise=2)
    altered = np.concatenate([frames[:25], 255 - frames[25:]])
    one, other = causally(tmp_path / "a", frames), causally(tmp_path / "b", altered)
    assert len(one) > 25
    for name in ("position", "xyxy", "confidence"):
        assert getattr(one, name)[one.position < 25].tolist() == getattr(other, name)[other.position < 25].tolist()


def test_where_normal_footage_shows_the_scene_a_walker_is_found_from_the_first_frame_on(tmp_path: Path):
    frames = as_frames(footage(30), noise=2)
    empty = as_frames(footage(1, moves=False))[0]
    check_walker(causally(tmp_path / "a", frames, (empty,)), 30)
    assert 0 not in causally(tmp_path / "b", frames).position  # of one frame, all is background


def test_footage_of_another_scene_is_no_background_but_other_light_is(tmp_path: Path):
    frames = as_frames(footage(30), noise=2)
    other, light = as_frames(scene(seed=5)[None])[0], as_frames(0.8 * scene()[None] + 30)[0]
    alone = causally(tmp_path / "a", frames)
    unmoved = causally(tmp_path / "b", frames, (other,))
    assert unmoved.xyxy.tolist() == alone.xyxy.tolist()
    check_walker(causally(tmp_path / "c", frames, (other, light)), 30)


def test_scenes_are_medians_of_footage_by_its_size(tmp_path: Path):
    one = cached_video(tmp_path, "a", as_frames(footage(50, moves=False), noise=2))
    large = Video("b", "train", one.numbers, (640, 384), one.folder)
    found = scenes([one, large, one], SHORT)
    assert {size: len(of) for size, of in found.items()} == {(WIDTH, HEIGHT): 2, (640, 384): 1}
    frames = one.frames(SHORT.frames)[[0, 12, 24, 37, 49]]
    assert np.array_equal(found[640, 384][0], np.sort(frames, axis=0)[2])
    assert len(scenes([one] * 9, SHORT)[WIDTH, HEIGHT]) == 5  # no more than there are samples
