"""Truth that counts from another number than the frames: it belongs to the right frame, or there is an error."""

from pathlib import Path

import numpy as np
import pytest
from tests.footage import HEIGHT, WIDTH, dataset, encoded, write_frames, write_video
from tests.test_layouts import labels, mask, pick, write_avenue_labels

from pixelplay.errors import DataError
from pixelplay.videos.layouts import read_dataset
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.truth_files import TrackFile, counting_remarks

SIZE = (WIDTH, HEIGHT)


def write_masks(folder: Path, numbers: range | list[int], name: str = "{:03d}.bmp") -> None:
    """Masks of which the k-th has row k anomalous; the third and those after it are empty."""
    folder.mkdir(parents=True)
    for k, number in enumerate(numbers):
        pixels = mask(k) * 255 if k < 2 else np.zeros((HEIGHT, WIDTH), np.uint8)
        (folder / name.format(number)).write_bytes(encoded(".bmp", image=pixels))


def ped2(root: Path, numbers: range | list[int], gt_frame: str | None = "2:3", tracks: str = "") -> RawVideo:
    """The test video of a Ped2 with frames of these numbers and, unless None, a label file."""
    write_frames(root / "Train/Train001", range(1, 3), "{:03d}.tif")
    write_frames(root / "Test/Test001", numbers, "{:03d}.tif")
    if gt_frame is not None:
        (root / "Test/UCSDped2.m").write_text(f"TestVideoFile{{end+1}}.gt_frame = [{gt_frame}];\n")
    if tracks:
        (root / "test_tracks").mkdir()
        (root / "test_tracks/Test001.txt").write_text(tracks)
    return pick(read_dataset(dataset("ped2", root)), "Test001")


def shanghaitech(root: Path, numbers: range | list[int], count: int, tracks: str = "") -> RawVideo:
    """The test video of a ShanghaiTech with `count` labels and masks, of which the third is anomalous."""
    write_video(root / "training/videos/01_001.avi", 2)
    write_frames(root / "testing/frames/01_0014", numbers, "{:03d}.jpg")
    for kind in ("test_frame_mask", "test_pixel_mask"):
        (root / "testing" / kind).mkdir()
    np.save(root / "testing/test_frame_mask/01_0014.npy", (np.arange(count) == 2).astype(np.int8))
    masks = np.stack([mask(i) if i == 2 else np.zeros((HEIGHT, WIDTH), np.uint8) for i in range(count)])
    np.save(root / "testing/test_pixel_mask/01_0014.npy", masks)
    if tracks:
        (root / "test_tracks").mkdir()
        (root / "test_tracks/01_0014.txt").write_text(tracks)
    return pick(read_dataset(dataset("shanghaitech", root)), "01_0014")


def anomalous(video: RawVideo, numbers: range | list[int]) -> list[int]:
    """Numbers of the frames with an anomalous label."""
    return [number for number, label in zip(numbers, labels(video, list(numbers)), strict=True) if label]


def masked(video: RawVideo, numbers: range | list[int]) -> list[int]:
    """Numbers of the frames with an anomalous pixel."""
    assert video.masks is not None
    return [number for number in numbers if video.masks.read([number], SIZE).at(0).any()]


def tracked(video: RawVideo, numbers: range | list[int]) -> list[int]:
    assert video.tracks is not None
    return video.tracks.read(np.array(numbers)).number.tolist()


@pytest.mark.parametrize("first", [0, 1, 181])
def test_ped2_gt_frame_counts_the_frames_of_a_complete_folder_whatever_their_numbers(tmp_path: Path, first: int):
    numbers = range(first, first + 6)
    video = ped2(tmp_path, numbers, "2:3, 6", tracks="0,2,1,2,3,4\n0,6,1,2,3,4\n")
    assert anomalous(video, numbers) == [first + 1, first + 2, first + 5]
    assert tracked(video, numbers) == [first + 1, first + 5]
    said = [] if first == 1 else [("UCSDped2.m", f"counts from 1, the frames from {first}", f"its 1 is frame {first}")]
    assert list(video.labels.read().remarks) == said


@pytest.mark.parametrize("masks_from", [0, 1])
@pytest.mark.parametrize("first", [0, 1, 181])
def test_ped2_masks_belong_to_frames_in_order_where_both_are_complete(tmp_path: Path, first: int, masks_from: int):
    write_masks(tmp_path / "Test/Test001_gt", range(masks_from, masks_from + 6))
    numbers = range(first, first + 6)
    video = ped2(tmp_path, numbers, gt_frame=None)
    assert masked(video, numbers) == [first, first + 1]
    assert np.array_equal(video.masks.read([first + 1], SIZE).at(0), mask(1) > 0)
    assert anomalous(video, numbers) == [first, first + 1]  # labels that are made of the masks
    assert video.masks.remarks == counting_remarks(tmp_path / "Test/Test001_gt", masks_from, first)


@pytest.mark.parametrize("first", [0, 1])
def test_ped2_frames_that_are_missing_keep_the_labels_and_masks_of_the_others(tmp_path: Path, first: int):
    write_masks(tmp_path / "Test/Test001_gt", range(1, 8))
    numbers = [first, first + 1, first + 3, first + 5]  # the third, the fifth and the last are not on disk
    video = ped2(tmp_path, numbers, "3:4", tracks="0,4,1,2,3,4\n")
    assert anomalous(video, numbers) == [first + 3]
    assert masked(video, numbers) == [first, first + 1]
    assert tracked(video, numbers) == [first + 3]


def test_ped2_a_folder_that_starts_late_is_told_from_one_with_other_numbers_by_the_count_of_masks(tmp_path: Path):
    write_masks(tmp_path / "Test/Test001_gt", range(1, 9))
    video = ped2(tmp_path, range(3, 9), "3:4")  # the first two of eight are missing
    assert anomalous(video, range(3, 9)) == [3, 4]
    assert masked(video, range(3, 9)) == []


def test_ped2_single_masks_for_frames_that_count_from_0_are_refused_as_ambiguous(tmp_path: Path):
    write_masks(tmp_path / "Test/Test001_gt", [3, 4])
    with pytest.raises(DataError, match=r"Test001_gt: 2 masks numbered 3 to 4, frames that count from 0: .* ambiguous"):
        ped2(tmp_path, range(6))


@pytest.mark.parametrize("first", [0, 1])
def test_shanghaitech_truth_counts_from_0_and_the_frames_from_0_or_1(tmp_path: Path, first: int):
    numbers = range(first, first + 5)
    video = shanghaitech(tmp_path, numbers, 5, tracks="0,0,1,2,3,4\n0,4,1,2,3,4\n")
    assert anomalous(video, numbers) == masked(video, numbers) == [first + 2]
    assert tracked(video, numbers) == [first, first + 4]
    said = [("01_0014.npy", "counts from 0, the frames from 1", "its 0 is frame 1")] if first else []
    assert list(video.labels.read().remarks) == video.masks.remarks == said


def test_shanghaitech_frames_that_are_missing_keep_the_truth_of_the_others(tmp_path: Path):
    video = shanghaitech(tmp_path, [0, 2, 3], 5, tracks="0,2,1,2,3,4\n")
    assert anomalous(video, [0, 2, 3]) == masked(video, [0, 2, 3]) == tracked(video, [0, 2, 3]) == [2]


def test_a_folder_with_gaps_that_starts_at_1_is_refused_where_truth_counts_from_0(tmp_path: Path):
    with pytest.raises(DataError, match=r"01_0014\.npy: its entries count from 0, and the frames .* start at 1"):
        shanghaitech(tmp_path, [1, 3, 4], 5)


def test_avenue_tracks_follow_frames_that_count_from_1_and_labels_those_that_are_left(tmp_path: Path):
    write_frames(tmp_path / "training_videos/01", range(1, 3), "{:04d}.jpg")
    write_frames(tmp_path / "testing_videos/01", range(1, 7), "{:04d}.jpg")
    write_frames(tmp_path / "testing_videos/02", [0, 1, 3, 5], "{:04d}.jpg")
    write_avenue_labels(tmp_path / "testing_label_mask/2_label.mat", [3, 4], 6)
    (tmp_path / "test_tracks").mkdir()
    (tmp_path / "test_tracks/1.txt").write_text("0,0,1,2,3,4\n0,5,1,2,3,4\n")
    videos = read_dataset(dataset("avenue", tmp_path))
    assert tracked(pick(videos, "01"), range(1, 7)) == [1, 6]
    assert anomalous(pick(videos, "02"), [0, 1, 3, 5]) == masked(pick(videos, "02"), [0, 1, 3, 5]) == [3]


def folder_layout(root: Path, numbers: range) -> None:
    write_frames(root / "train/a", range(2))
    write_frames(root / "test/a", numbers, "{}.png")
    for name in ("test_labels", "test_tracks"):
        (root / name).mkdir()


def test_a_folders_own_truth_uses_the_numbers_of_the_frames_and_a_mismatch_says_so(tmp_path: Path):
    folder_layout(tmp_path, range(4))
    (tmp_path / "test_labels/a.csv").write_text("frame,label\n1,0\n2,1\n3,0\n4,0\n")
    (tmp_path / "test_tracks/a.csv").write_text("0,3,1,2,3,4\n0,4,1,2,3,4\n")
    video = pick(read_dataset(dataset("folder", tmp_path)), "a")
    with pytest.raises(DataError, match=r"frame 0 has no label \(labels are for frames 1 to 4, the video has 0 to 3"):
        labels(video, [0, 1, 2, 3])
    with pytest.raises(DataError, match=r"a\.csv: 1 of 2 entries .* \(4, …\): it uses .* seems to count from 1"):
        tracked(video, range(4))
    write_masks(tmp_path / "test_masks/a", [3, 4])
    with pytest.raises(DataError, match=r"masks/a: 1 of 2 entries .* outside 0 to 3 .* seems to count from 1 where"):
        read_dataset(dataset("folder", tmp_path))


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (
            [0, 3],
            r"1 of 2 entries .* outside 1 to 6 \(0, …\): files .* count from 1, and this one seems to count from 0",
        ),
        ([7, 3], r"1 of 2 entries .* outside 1 to 6 \(7, …\): .* seems to count from 2"),
        ([3, 30, 31], r"2 of 3 entries are for frames outside 1 to 6 \(30, …\): .* must belong together"),
    ],
)
def test_tracks_that_count_otherwise_or_are_of_another_video_are_refused(tmp_path: Path, rows, complaint: str):
    (tmp_path / "a.txt").write_text("".join(f"0,{row},1,2,3,4\n" for row in rows))
    file = TrackFile(tmp_path / "a.txt", counts_from=1, first=11)
    with pytest.raises(DataError, match=rf"a\.txt: {complaint}"):
        file.read(np.arange(11, 17))


def test_a_few_boxes_outside_the_video_are_a_remark_and_those_of_a_part_of_a_video_none(tmp_path: Path):
    (tmp_path / "a.txt").write_text("0,1,1,2,3,4\n0,2,1,2,3,4\n0,9,1,2,3,4\n")
    found = TrackFile(tmp_path / "a.txt").read(np.arange(4))
    assert found.number.tolist() == [1, 2, 9]
    assert list(found.remarks) == [
        ("a.txt", "1 of 3 entries are for frames outside 0 to 3 (9, …)", "those do not count")
    ]
    part = TrackFile(tmp_path / "a.txt", whole=False).read(np.array([939, 941]))
    assert part.number.tolist() == [1, 2, 9] and not part.remarks
