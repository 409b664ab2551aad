"""Feature maps of objects: files that know their table, rows of blocks of time, crops along tracks, room on disk."""

import shutil
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.footage import folder_video, followed
from tests.pipeline import CPU
from torch import nn

from pixelplay.backbones.frozen import Backbone
from pixelplay.backbones.object_maps import ObjectMaps, neighbours
from pixelplay.cli import load_config
from pixelplay.errors import DamagedArtifactError, MissingArtifactError, PixelPlayError
from pixelplay.objects import features
from pixelplay.objects.boxes import Boxes, save
from pixelplay.objects.features import crop_vectors, features_of, flow_of
from pixelplay.objects.settings import FeaturesConfig
from pixelplay.objects.tracks import Tracks, cropped, highest, tracks_of
from pixelplay.videos.cache import FrameCache
from pixelplay.videos.video import Maps, Video

SHAPE = (2, 3, 3)


def tracks(*rows: tuple[int, int], interpolated: tuple[int, ...] = ()) -> Tracks:
    """Of (position, track), ordered."""
    return followed(*((*row, 8, 8, 40, 40) for row in rows), interpolated=interpolated)


ROWS = ((0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (3, 2))


def written(folder: Path, by_box: bool) -> Video:
    """A video of six frames with tables and maps; the map of row r is full of r."""
    followed = tracks(*ROWS, interpolated=(1,))
    detected = followed[~followed.interpolated]
    boxes = Boxes.of(detected.position, detected.xyxy, detected.label, detected.confidence)
    save(followed, folder / "tracks-a.parquet")
    save(boxes, folder / "objects-yolo-a.parquet")
    path, table = folder / "features-a.npy", folder / ("objects-yolo-a.parquet" if by_box else "tracks-a.parquet")
    count = len(boxes) if by_box else len(followed)
    with features.writing(path, table, SHAPE) as writer:
        writer.extend(np.broadcast_to(np.arange(count, dtype=np.float16)[:, None, None, None], (count, *SHAPE)))
    video = Video("a", "test", np.arange(6), (64, 48), folder, objects=(folder / "objects-yolo-a.parquet",))
    return replace(video, tracks=folder / "tracks-a.parquet", features=Maps(path, by_box))


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("by_box", "rows"), [(True, [0, -1, 1, 2, 3, 4]), (False, [0, 1, 2, 3, 4, 5])])
def test_each_row_of_the_tracks_has_its_map_and_an_interpolated_one_no_detected_box_s(tmp_path, by_box, rows):
    found = features_of(written(tmp_path, by_box))
    assert found.row.tolist() == rows and found.row.dtype == np.int64
    assert found.maps.dtype == np.float16 and found.maps.shape == (5 if by_box else 6, *SHAPE)
    assert isinstance(found.maps, np.memmap)
    assert found.maps[:, 0, 0, 0].tolist() == list(range(len(found.maps)))


@pytest.mark.parametrize(("by_box", "rows"), [(True, [-1, 1, 2, 3]), (False, [1, 2, 3, 4])])
def test_a_block_of_time_has_the_rows_of_its_tracks(tmp_path, by_box, rows):
    block = written(tmp_path, by_box).block(1, 3)
    assert features_of(block).row.tolist() == rows
    assert tracks_of(block).position.tolist() == [0, 0, 1, 1]
    assert features_of(written(tmp_path, by_box).block(4, 6)).row.tolist() == []


def test_causally_there_are_maps_of_detected_boxes_and_of_crops_and_not_of_rows_between(tmp_path: Path):
    """Track 1 in frames 0 to 2, the second of them interpolated; track 2 in 1 to 3. Frame 2 is too noisy for crops."""
    (tmp_path / "box").mkdir()
    assert features_of(written(tmp_path / "box", True), causal=True).row.tolist() == [0, -1, 1, 2, 3, 4]
    crops = written(tmp_path, False)
    assert crops.features is not None
    every_second = replace(crops, features=replace(crops.features, every=2))
    assert features_of(every_second, causal=True).row.tolist() == [0, -1, 2, 3, -1, 5]
    clean = replace(crops, noise=np.array([0, 0, 9, 0, 0, 0], np.float32))
    clean = replace(clean, features=replace(crops.features, noise_above=8.0))
    assert features_of(clean, causal=True).row.tolist() == [0, -1, 2, -1, -1, 5]
    assert features_of(clean).row.tolist() == list(range(6))


def test_maps_that_nobody_asked_for_are_missing(tmp_path: Path):
    with pytest.raises(MissingArtifactError, match="features=True in its Spec"):
        features_of(replace(written(tmp_path, True), features=None))


@pytest.mark.parametrize(("by_box", "stage"), [(True, "detect"), (False, "extract")])
@pytest.mark.parametrize("damage", ["cut", "other", "table", "gone", "text"])
def test_a_file_that_is_not_this_table_s_is_told_and_deleted(tmp_path: Path, by_box: bool, stage: str, damage: str):
    video = written(tmp_path, by_box)
    assert video.features is not None and video.tracks is not None
    path, table = video.features.path, video.objects[0] if by_box else video.tracks
    assert features.is_saved(path, table)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-70])
    elif damage == "other":  # of another video with as many boxes
        path.write_bytes(path.read_bytes().replace(b"features-a.npy", b"features-b.npy"))
    elif damage == "table":  # found anew
        moved = tracks(*ROWS, interpolated=(1,))
        moved.xyxy[0, 0] = 7
        one = moved[~moved.interpolated]
        save(Boxes.of(one.position, one.xyxy, one.label, one.confidence) if by_box else moved, table)
    elif damage == "gone":
        path.unlink()
    else:
        path.write_bytes(b"no array")
    assert not features.is_saved(path, table)
    error = MissingArtifactError if damage == "gone" else DamagedArtifactError
    with pytest.raises(error, match=rf"features-a\.npy is (missing|damaged).*run `python src/{stage}\.py`"):
        features_of(video)
    assert not path.exists()


def test_a_killed_writer_leaves_nothing(tmp_path: Path):
    (tmp_path / "table").touch()
    with pytest.raises(KeyboardInterrupt), features.writing(tmp_path / "f.npy", tmp_path / "table", SHAPE):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["table"]


def with_values(folder: Path) -> Video:
    """With crops and flow: of row r the map of C channels has c + 10 r in each cell but one, and flow r, r + 0.5."""
    video = written(folder, by_box=True)
    assert video.tracks is not None
    rows, found = len(ROWS), {}
    crops = np.tile(np.arange(2)[None, :, None, None] + 10.0 * np.arange(rows)[:, None, None, None], (1, 1, 3, 3))
    crops[:, 1, 0, 0] += 9  # a ninth of the cells
    flow = np.arange(rows)[:, None] + np.array([0, 0.5])
    for name, values, dtype in (("crops", crops, np.float16), ("flow", flow, np.float32)):
        found[name] = Maps(folder / f"{name}-a.npy", by_box=False)
        with features.writing(found[name].path, video.tracks, values.shape[1:], dtype) as writer:
            writer.extend(values.astype(dtype))
    return replace(video, **found)


def test_each_row_of_the_tracks_has_the_mean_of_its_crop_and_its_flow(tmp_path: Path, monkeypatch):
    video = with_values(tmp_path)
    expected = [[10 * r, 10 * r + 2] for r in range(6)]
    assert crop_vectors(video).tolist() == expected and crop_vectors(video).dtype == np.float32
    assert flow_of(video).tolist() == [[r, r + 0.5] for r in range(6)] and flow_of(video).dtype == np.float32
    block = video.block(1, 3)  # rows 1 to 4
    assert crop_vectors(block).tolist() == expected[1:5]
    assert flow_of(block)[:, 0].tolist() == [1, 2, 3, 4]
    monkeypatch.setattr(features, "CHUNK", 4)
    assert crop_vectors(video).tolist() == expected
    assert crop_vectors(video.block(4, 6)).shape == (0, 2) and flow_of(video.block(4, 6)).shape == (0, 2)
    flow_of(video)[:] = 0  # a copy
    assert flow_of(video)[5, 1] == 5.5


def test_crops_and_flow_that_nobody_asked_for_or_that_are_damaged_are_told(tmp_path: Path):
    video = with_values(tmp_path)
    with pytest.raises(MissingArtifactError, match=r"no feature maps of crops were made.*crops=True in its Spec"):
        crop_vectors(replace(video, crops=None))
    with pytest.raises(MissingArtifactError, match=r"no values of optical flow were made.*flow=True in its Spec"):
        flow_of(replace(video, flow=None))
    for read, maps in ((crop_vectors, video.crops), (flow_of, video.flow)):
        assert maps is not None
        maps.path.write_bytes(maps.path.read_bytes()[:-7])
        with pytest.raises(DamagedArtifactError, match=rf"{maps.path.name} is damaged.*src/extract\.py"):
            read(video)
        with pytest.raises(MissingArtifactError, match=rf"{maps.path.name} is missing.*src/extract\.py"):
            read(video)


def test_rows_are_chosen_along_their_track_also_in_a_block_of_time(tmp_path: Path):
    video = written(tmp_path, True)  # track 1 at 0, 1, 2 and track 2 at 1, 2, 3
    assert cropped(video, 2, None).tolist() == [True, False, True, True, False, True]
    assert cropped(video.block(2, 4), 2, None).tolist() == [True, False, True]
    assert cropped(video.block(4, 6), 2, None).tolist() == []


def test_rows_in_noisy_frames_are_chosen_only_where_a_track_has_no_others(tmp_path: Path):
    """Frames 1 and 3 are noisy: of track 1 the first and third clean one are chosen, track 2 has noisy ones alone."""
    video = replace(written(tmp_path, True), noise=np.array([0, 20, 10, 20, 0, 0], np.float32))
    rows = tracks((0, 1), (1, 1), (1, 2), (2, 1), (3, 1), (3, 2), (4, 1))
    assert video.tracks is not None
    save(rows, video.tracks)
    assert np.flatnonzero(cropped(video, 2, 10.0)).tolist() == [0, 2, 6]
    assert np.flatnonzero(cropped(video, 2, None)).tolist() == [0, 2, 3, 6]


def test_a_frame_has_the_score_of_its_highest_object_and_the_least_without_any():
    found = highest(np.array([-3.0, -1, -2, 5, 4, 7]), tracks(*ROWS), 6, least=-9.0)
    assert found.tolist() == [-3, -1, 5, 7, -9, -9] and found.dtype == np.float32


# --- room -----------------------------------------------------------------------------------------------------------


def test_what_is_needed_is_told_before_and_refused_where_there_is_not_enough(tmp_path: Path, monkeypatch):
    """448 x 9 numbers of 2 bytes: 8,064 bytes a box."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(0, 0, 10_000_000_000))
    frames, shape = [100, 100, 300], (448, 3, 3)
    sure = features.require_space(tmp_path, frames, [1000, 2000, 0], [True, True, False], shape)
    assert sure.startswith("feature maps of 3,000 boxes: 0.02 GB of 10.00 GB free in ")
    guessed = features.require_space(tmp_path, frames, [1000, None, None], [True, True, True], shape)
    assert guessed.startswith("feature maps of 5,000 boxes, an estimate from 10.0 in a frame: 0.04 GB of")
    unknown = features.require_space(tmp_path, frames, [None, None, None], [False, True, True], shape)
    assert unknown.startswith("feature maps of 8,000 boxes, an estimate from 20.0 in a frame: 0.06 GB of")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(0, 0, 3000 * 8064 - 1))
    with pytest.raises(PixelPlayError, match=r"23 MB are needed, 23 MB free: make room or set paths\.cache=FOLDER"):
        features.require_space(tmp_path, frames, [1000, 2000, 0], [True, True, False], shape)


# --- crops along tracks ---------------------------------------------------------------------------------------------


def test_rows_lie_between_the_nearest_that_are_cropped_by_hand():
    """Track 1 at 0..4, track 2 at 1 alone, track 3 at 2, 3 and, after a pause, 9."""
    rows = tracks((0, 1), (1, 1), (1, 2), (2, 1), (2, 3), (3, 1), (3, 3), (4, 1), (9, 3))
    found = neighbours(rows, np.isin(np.arange(9), [0, 2, 3, 4, 7, 8]))  # every second row of each
    assert found.before.tolist() == [0, 0, 2, 3, 4, 3, 4, 7, 8]
    assert found.after.tolist() == [0, 3, 2, 3, 4, 7, 8, 7, 8]
    np.testing.assert_allclose(found.weight, [0, 1 / 2, 0, 0, 0, 1 / 2, 1 / 7, 0, 0], rtol=1e-6)
    found = neighbours(rows, np.isin(np.arange(9), [2, 3, 4]))  # nothing before, or after, some of them
    assert found.before.tolist() == found.after.tolist() == [3, 3, 2, 3, 4, 3, 4, 3, 4]
    assert not found.weight.any()
    alone = neighbours(rows, np.ones(9, bool))
    assert alone.before.tolist() == alone.after.tolist() == list(range(9))


class Grey(nn.Module):
    """Two stages of a backbone that hold the brightness of a crop and twice it."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        return mean.expand(-1, 2, 8, 8), 2 * mean.expand(-1, 1, 4, 4)


def extractor(every: int) -> ObjectMaps:
    config = load_config(["objects=default"]).objects.features
    changes = {"image_size": 64, "every": every, "batch_size": 5}
    return ObjectMaps(Backbone("grey", Grey(), [0.0] * 3, [1.0] * 3, bf16=False), config.model_copy(update=changes))


def grey_video(folder: Path, levels: list[int]) -> Video:
    import cv2

    (folder / "data").mkdir()
    for t, level in enumerate(levels):
        cv2.imwrite(str(folder / f"data/{t:03d}.png"), np.full((48, 64, 3), level, np.uint8))
    return FrameCache(folder / "cache").fill([folder_video(folder / "data")], [], 1.0, 1)[0].video


def parts_of(every: int, video: Video, followed: Tracks, told: Callable[[int], Any] = print) -> list[np.ndarray]:
    path = video.folder / "tracks.parquet"
    save(followed, path)
    return list(extractor(every).of(replace(video, tracks=path), followed, told))


def test_rows_between_crops_have_the_maps_between_and_no_frame_is_lost(tmp_path: Path):
    """40 frames, more than are held at a time; brightness t squared / 8 is a curve, so that chords differ from it."""
    levels = [t * t // 8 for t in range(40)]
    video = grey_video(tmp_path, levels)
    rows = tuple((t, track) for t in range(40) for track in (1, 2) if track == 1 or 5 <= t <= 30)
    told: list[int] = []
    parts = parts_of(3, video, tracks(*rows), told.append)
    maps = np.concatenate(parts).astype(np.float64)
    assert maps.shape == (len(rows), 3, 3, 3) and sum(told) == 40 and len(parts) > 1
    for (t, track), one in zip(rows, maps, strict=True):
        first, last = (0, 39) if track == 1 else (5, 30)
        before = first + (t - first) // 3 * 3
        after = before + 3 if before + 3 <= last else before
        share = (t - before) / max(after - before, 1)
        expected = ((1 - share) * levels[before] + share * levels[after]) / 255
        np.testing.assert_allclose(one[:2], expected, atol=1e-3)
        np.testing.assert_allclose(one[2], 2 * expected, atol=2e-3)


def test_a_track_whose_crops_are_far_apart_and_an_empty_table(tmp_path: Path):
    video = grey_video(tmp_path, list(range(0, 200, 5)))
    maps = np.concatenate(parts_of(2, video, tracks((0, 1), (20, 1), (20, 2), (39, 1))))
    np.testing.assert_allclose(maps[:, 0, 0, 0] * 255, [0, 100, 100, 195], atol=0.5)  # 100 = 195 x 20 / 39
    assert parts_of(3, video, tracks((0, 1))[:0]) == []


def test_crops_are_squares_around_boxes_in_pixels_of_the_frame(tmp_path: Path):
    """The left half of each frame is white: a box there gives 1, one on the right 0, one across 1/2."""
    import cv2

    (tmp_path / "data").mkdir()
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:, :32] = 255
    cv2.imwrite(str(tmp_path / "data/000.png"), frame)
    video = FrameCache(tmp_path / "cache").fill([folder_video(tmp_path / "data")], [], 1.0, 1)[0].video
    three = tracks((0, 1), (0, 2), (0, 3))
    boxes = np.array([[4, 14, 24, 34], [40, 14, 60, 34], [22, 14, 42, 34]], np.float32)
    (maps,) = parts_of(3, video, replace(three, xyxy=boxes))
    np.testing.assert_allclose(maps[:, 0, 0, 0], [1, 0, 0.5], atol=1e-3)
    assert extractor(3).channels == 3
    assert isinstance(extractor(3).config, FeaturesConfig) and extractor(3).backbone.mean.device == CPU
