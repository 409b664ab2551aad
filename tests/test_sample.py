"""The rendered sample: the same bytes for the same settings, and labels, masks, boxes and frames that agree."""

import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from pixelplay.errors import DataError
from pixelplay.run.atomic import remove_leftovers
from pixelplay.synthetic.sample import render_sample
from pixelplay.synthetic.sample.anomalies import EVENTS, Slot, pick_kinds, pick_slots
from pixelplay.synthetic.sample.crowd import Stage, pick_crowd
from pixelplay.synthetic.sample.footage import MIN_VISIBLE_PIXELS, find_boxes, find_truth
from pixelplay.synthetic.sample.plaza import Camera, travel
from pixelplay.synthetic.sample.render import plan_video
from pixelplay.videos.settings import CorruptionConfig, SampleConfig

CLEAN = CorruptionConfig(flip=0.0, heavy=0.0, light=0.0, missing=0.0, heavy_sd=23.0, light_sd=17.25)
CORRUPTED = CorruptionConfig(flip=0.2, heavy=0.2, light=0.1, missing=0.15, heavy_sd=23.0, light_sd=17.25)
TINY = SampleConfig(
    seed=3, train_videos=2, test_videos=2, min_frames=20, max_frames=30, width=96, height=64, corruption=CORRUPTED
)
KILLED = """
import os, signal, sys
from pathlib import Path
import cv2
from pixelplay.videos.settings import SampleConfig
from pixelplay.synthetic.sample import render_sample

write, written = cv2.imwrite, []

def killed_at_the_sixth(*arguments):
    written.append(write(*arguments))
    if len(written) == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return True

cv2.imwrite = killed_at_the_sixth
render_sample(Path(sys.argv[1]), SampleConfig.model_validate_json(sys.argv[2]), workers=1)
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rendered") / "sample"
    render_sample(root, TINY, workers=1)
    return root


@pytest.fixture(scope="module")
def full_length(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A test video for each kind of anomaly, long enough for every one of them, uncorrupted and small."""
    root = tmp_path_factory.mktemp("full") / "sample"
    settings = {"test_videos": 7, "train_videos": 1, "min_frames": 120, "max_frames": 130, "corruption": CLEAN}
    render_sample(root, TINY.model_copy(update=settings), workers=2)
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def frame_numbers(folder: Path) -> list[int]:
    return [int(path.stem.removeprefix("frame_")) for path in sorted(folder.iterdir())]


def test_same_settings_give_the_same_bytes_with_one_worker_and_with_two(sample: Path, tmp_path: Path):
    render_sample(tmp_path / "again", TINY, workers=2)
    assert contents(tmp_path / "again") == contents(sample)


def test_another_seed_gives_other_frames(sample: Path, tmp_path: Path):
    render_sample(tmp_path / "other", TINY.model_copy(update={"seed": 4}), workers=1)
    ours, others = contents(sample), contents(tmp_path / "other")
    assert ours["train/01/frame_00000.jpg"] != others["train/01/frame_00000.jpg"]
    assert ours["train/01/frame_00000.jpg"] != ours["train/02/frame_00000.jpg"]


def test_training_frames_are_numbered_from_zero_without_gaps_and_have_the_set_size(sample: Path):
    for video in ("01", "02"):
        numbers = frame_numbers(sample / "train" / video)
        assert numbers == list(range(len(numbers)))
        assert 20 <= len(numbers) <= 30
    assert cv2.imread(str(sample / "train/01/frame_00000.jpg")).shape == (64, 96, 3)
    folders = ["test", "test_labels", "test_masks", "test_tracks", "train"]
    assert sorted(path.name for path in sample.iterdir()) == folders


def test_every_frame_on_disk_has_one_label_and_both_classes_occur(sample: Path, full_length: Path):
    for root in (sample, full_length):
        for folder in sorted((root / "test").iterdir()):
            table = pd.read_csv(root / "test_labels" / f"{folder.name}.csv")
            assert list(table.columns) == ["frame", "label"]
            assert table["frame"].tolist() == frame_numbers(folder)
            assert set(table["label"]) == {0, 1}


def test_missing_frames_leave_gaps_in_the_numbers(sample: Path):
    gaps = 0
    for folder in (sample / "test").iterdir():
        numbers = frame_numbers(folder)
        gaps += numbers[-1] - numbers[0] + 1 - len(numbers)
    assert gaps > 0


def test_a_label_is_one_exactly_where_a_mask_is_and_masks_are_never_nearly_empty(full_length: Path):
    for labels in sorted((full_length / "test_labels").iterdir()):
        table, masks = pd.read_csv(labels), full_length / "test_masks" / labels.stem
        assert table["frame"][table["label"] == 1].tolist() == frame_numbers(masks)
        for path in masks.iterdir():
            mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            assert mask.shape == (64, 96)
            assert set(np.unique(mask)) == {0, 255}
            assert np.count_nonzero(mask) >= MIN_VISIBLE_PIXELS


def test_the_tracks_boxes_enclose_each_mask_and_nothing_more(full_length: Path):
    for tracks in sorted((full_length / "test_tracks").iterdir()):
        table = pd.read_csv(tracks)
        assert list(table.columns) == ["track_id", "frame", "x1", "y1", "x2", "y2"]
        masks = full_length / "test_masks" / tracks.stem
        assert sorted(set(table["frame"])) == frame_numbers(masks)
        for frame, boxes in table.groupby("frame"):
            mask = cv2.imread(str(masks / f"frame_{frame:05d}.png"), cv2.IMREAD_UNCHANGED)
            rows, columns = np.nonzero(mask)
            assert boxes["x1"].min() == columns.min() and boxes["x2"].max() == columns.max() + 1
            assert boxes["y1"].min() == rows.min() and boxes["y2"].max() == rows.max() + 1
            outside = mask.copy()
            for box in boxes.itertuples():
                assert mask[box.y1 : box.y2, box.x1 : box.x2].any()
                outside[box.y1 : box.y2, box.x1 : box.x2] = 0
            assert not outside.any()


def test_boxes_of_all_that_moves_are_those_of_the_anomalous_objects_and_others(sample: Path):
    """Of the plan that was rendered; what is hidden, or is of the scenery, has none."""
    camera, others = Camera(TINY.width, TINY.height), 0
    for video in range(TINY.test_videos):
        plan = plan_video(camera, TINY, "test", video)
        table = pd.read_csv(sample / f"test_tracks/{video + 1:02d}.csv")
        for position in np.flatnonzero(plan.kinds != "missing"):
            found = find_boxes(camera, plan.actors, int(position), least=1)
            rows = table[table["frame"] == plan.numbers[position]]
            assert {tuple(row) for row in rows[["x1", "y1", "x2", "y2"]].to_numpy().tolist()} <= set(found)
            others += len(found) - len(rows)
            large = find_boxes(camera, plan.actors, int(position), least=40)
            assert set(large) <= set(found) and all((x2 - x1) * (y2 - y1) >= 40 for x1, y1, x2, y2 in large)
    assert others > 0


def test_corrupted_frames_differ_from_clean_ones_as_their_kind_says_and_their_masks_do_not(tmp_path: Path):
    settings = {"train_videos": 1, "test_videos": 1}
    clean, flipped = tmp_path / "clean", tmp_path / "flipped"
    render_sample(clean, TINY.model_copy(update=settings | {"corruption": CLEAN}), workers=1)
    always = CLEAN.model_copy(update={"flip": 1.0})
    render_sample(flipped, TINY.model_copy(update=settings | {"corruption": always}), workers=1)
    assert contents(clean / "test_masks") == contents(flipped / "test_masks")
    assert contents(clean / "test_labels") == contents(flipped / "test_labels")
    assert contents(clean / "train") == contents(flipped / "train")
    for path in (clean / "test" / "01").iterdir():
        upright = cv2.imread(str(path)).astype(int)
        turned = cv2.imread(str(flipped / "test" / "01" / path.name)).astype(int)
        assert np.abs(turned[::-1] - upright).mean() < 4 < np.abs(turned - upright).mean()  # JPEG's loss apart


def test_test_videos_cycle_through_all_kinds_and_the_default_number_shows_each():
    assert {kind for video in range(8) for kind in pick_kinds(video)} == set(EVENTS)
    assert [pick_kinds(video)[0] for video in range(7)] == list(EVENTS)
    assert pick_kinds(7)[0] == pick_kinds(0)[0]
    assert any(len(pick_kinds(video)) == 2 for video in range(8))


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("entering", [True, False])
def test_each_kind_is_seen_on_the_right_side_of_its_slot_and_not_on_the_other(kind: str, entering: bool):
    camera, frames = Camera(320, 180), 200
    for seed in range(3):
        rng = np.random.default_rng([seed, entering])
        slot = Slot(110 if entering else 90, entering, track=1)
        actors = EVENTS[kind](Stage(camera, frames), slot, rng)
        seen = {frame for frame in range(frames) if find_truth(camera, actors, frame)}
        assert len(seen) >= 25
        assert all(frame >= slot.frame if entering else frame < slot.frame for frame in seen)


def test_a_cart_is_as_wide_on_the_picture_as_its_length_and_distance_say():
    camera = Camera(320, 180)
    actors = EVENTS["driving"](Stage(camera, 200), Slot(0, True, track=1), np.random.default_rng(0))
    truths = [truth for frame in range(200) if (truth := find_truth(camera, actors, frame))]
    widths = [box[2] - box[0] for truth in truths for box in truth.boxes.values()]
    # 2.5 m and half a stroke at either end, at 9.7 to 11.9 m: 1.1 * 180 / 11.9 * 2.5 to 1.1 * 180 / 9.7 * 2.7
    assert 41 <= max(widths) <= 56


def test_rendering_into_a_folder_in_use_is_refused(tmp_path: Path):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        render_sample(tmp_path / "used", TINY)
    with pytest.raises(ValueError, match="workers=-1"):
        render_sample(tmp_path / "new", TINY, workers=-1)
    assert [path.name for path in tmp_path.rglob("*")] == ["used", "notes.txt"]


def test_a_killed_rendering_leaves_no_root_and_the_next_one_starts_afresh(sample: Path, tmp_path: Path):
    root = tmp_path / "sample"
    command = [sys.executable, "-c", KILLED, str(root), TINY.model_dump_json()]
    assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == -signal.SIGKILL
    assert list(tmp_path.glob(".sample.*.tmp/train/01/frame_00005.jpg")) and not root.exists()
    remove_leftovers(tmp_path)
    render_sample(root, TINY, workers=1)
    assert contents(root) == contents(sample)
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_normal_footage_has_no_anomalous_pixels_whoever_walks_there():
    camera = Camera(160, 90)
    crowd = pick_crowd(Stage(camera, 100), np.random.default_rng(5))
    assert sum(len(actor.at(50)) for actor in crowd) > 3
    assert all(find_truth(camera, crowd, frame) is None for frame in range(0, 100, 10))


@pytest.mark.parametrize("events", [1, 2])
def test_slots_leave_room_for_normal_frames(events: int):
    for seed in range(200):
        slots = pick_slots(100, events, np.random.default_rng(seed))
        assert len(slots) == events
        for slot in slots:
            assert slot.frame >= 56 if slot.entering else slot.frame <= 44
        assert len({slot.track for slot in slots}) == events


def test_a_point_on_the_ground_is_seen_where_its_pixel_says():
    camera = Camera(320, 180)
    column, row, scale = camera.project(2.0, 9.9)
    assert (column, row, scale) == pytest.approx((200.0, 117.0, 20.0))  # 1.1 * 180 / 9.9 = 20; 45 + 20 * 3.6 = 117
    x, z = camera.ground()
    assert z[117, 200] == pytest.approx(9.9, rel=0.02) and x[117, 200] == pytest.approx(2.0, rel=0.03)


def test_a_route_moves_stops_and_goes_on_at_its_speed():
    route = travel([(0.0, 5.0), (3.0, 5.0), (3.0, 9.0)], speed=1.5, start=10.0, stop=(1, 20.0))
    # 3 m at 1.5 m/s and 15 frames per second are 30 frames, 4 m are 40: there from 10 to 40, stands to 60, off to 100
    assert route.locate(9) is None and route.locate(101) is None
    halfway, standing, leaving = route.locate(25), route.locate(50), route.locate(80)
    assert (halfway.x, halfway.z, halfway.moving, halfway.facing) == pytest.approx((1.5, 5.0, True, 1.0))
    assert (standing.x, standing.z, standing.walked, standing.moving) == pytest.approx((3.0, 5.0, 3.0, False))
    assert (leaving.x, leaving.z, leaving.walked, leaving.facing) == pytest.approx((3.0, 7.0, 5.0, 0.0))
