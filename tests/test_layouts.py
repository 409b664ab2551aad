"""Layouts: each data set, written in its own file format, becomes the right videos with the right truth."""

import importlib
import os
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat
from tests.footage import HEIGHT, WIDTH, dataset, encoded, picture, write_frames, write_video
from tests.odd_images import tiff

from pixelplay.errors import ConfigError, DataError
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.layouts import find_root, read_dataset
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.truth_files import read_tracks
from pixelplay.videos.video_file import VideoFile

LAYOUTS = ("avenue", "folder", "ped2", "pixelplay26", "shanghaitech", "streetscene", "ubnormal")


def mask(row: int) -> np.ndarray:
    """A mask (H, W) with one anomalous row of pixels."""
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[row] = 1
    return pixels


def write_avenue_labels(path: Path, anomalous: list[int], frames: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = np.empty((1, frames), object)
    for i in range(frames):
        cells[0, i] = mask(i % HEIGHT) if i in anomalous else np.zeros((HEIGHT, WIDTH), np.uint8)
    savemat(path, {"volLabel": cells}, do_compression=True)


def write_ped2(root: Path) -> None:
    write_frames(root / "Train/Train001", range(1, 5), "{:03d}.tif")
    write_frames(root / "Train/Train002", range(1, 4), "{:03d}.tif")
    for video in ("Test001", "Test002"):
        write_frames(root / "Test" / video, range(1, 7), "{:03d}.tif")
        masks = root / "Test" / f"{video}_gt"
        masks.mkdir()
        for number in range(1, 7):
            pixels = mask(number) * 255 if number in (2, 3) else np.zeros((HEIGHT, WIDTH), np.uint8)
            (masks / f"{number:03d}.bmp").write_bytes(encoded(".bmp", image=pixels))
    (root / "Test/UCSDped2.m").write_text(
        "TestVideoFile = {};\nTestVideoFile{end+1}.gt_frame = [2:4];\nTestVideoFile{end+1}.gt_frame = [1:2, 5, 6:6];\n"
    )


def write_avenue(root: Path) -> None:
    for number in range(1, 11):
        write_video(root / f"training_videos/{number:02d}.avi", 2)
    write_video(root / "testing_videos/01.avi", 6, seed=1)
    write_video(root / "testing_videos/02.avi", 5, seed=2)
    write_avenue_labels(root / "testing_label_mask/1_label.mat", [0, 4, 5], 6)


def write_shanghaitech(root: Path) -> None:
    write_video(root / "training/videos/01_001.avi", 4)
    write_video(root / "training/videos/01_002.avi", 3)
    write_frames(root / "testing/frames/01_0014", range(5), "{:03d}.jpg")
    write_frames(root / "testing/frames/01_0015", range(4), "{:03d}.jpg")
    for kind in ("test_frame_mask", "test_pixel_mask"):
        (root / "testing" / kind).mkdir()
    np.save(root / "testing/test_frame_mask/01_0014.npy", np.array([0, 0, 1, 1, 0], np.int8))
    np.save(root / "testing/test_pixel_mask/01_0014.npy", np.stack([mask(i) for i in range(5)]))


def write_pixelplay26(root: Path) -> None:
    home = root / "Avenue_Corrupted-20251221T112159Z-3-001/Avenue_Corrupted/Dataset"
    write_frames(home / "training_videos/01", range(5), "frame_{:05d}.jpg")
    write_frames(home / "training_videos/02", range(5), "frame_{:05d}.jpg")
    write_frames(home / "testing_videos/01", [939, 940, 943, 944], "frame_{:05d}.jpg")
    write_frames(home / "testing_videos/02", [0, 1, 2], "frame_{:05d}.jpg")
    for folder in ("training_vol", "testing_vol"):
        (home / folder).mkdir()
        savemat(home / folder / "vol01.mat", {"vol": np.zeros((2, 2))})


def write_streetscene(root: Path) -> None:
    """A test video with two anomalies that share frame 3, and one without a ground truth file."""
    write_frames(root / "Train/Train001", range(1, 4), "{:03d}.jpg")
    write_frames(root / "Train/Train002", range(1, 4), "{:03d}.jpg")
    for video in ("Test001", "Test002"):
        write_frames(root / "Test" / video, range(1, 7), "{:03d}.jpg")
    (root / "Test/Test001/Test001_gt.txt").write_text("002.jpg 0 20 10 8 4\n003.jpg 0 22 10 8 4\n003.jpg 1 40 30 5 6\n")


UBNORMAL = {  # lists and the videos in them; scene 2 has one for validation, too
    "normal_training": ["normal_scene_1_scenario1_1", "normal_scene_2_scenario_1"],
    "normal_test": ["normal_scene_1_scenario_2"],
    "abnormal_test": ["abnormal_scene_2_scenario_1", "abnormal_scene_1_scenario_3_fog"],
}


def object_map(**places: tuple[int, int, int, int]) -> np.ndarray:
    """A map of UBnormal, uint8 (H, W): objects, called o1, o2, …, in boxes x1, y1, x2, y2."""
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for name, (x1, y1, x2, y2) in places.items():
        pixels[y1:y2, x1:x2] = int(name[1:])
    return pixels


def write_ubnormal(root: Path) -> None:
    """Object 3 is anomalous in frames 1 and 2, object 7 in frame 2; object 1 is normal and always there."""
    for name in [*chain.from_iterable(UBNORMAL.values()), "normal_scene_2_scenario_9"]:
        write_video(root / f"Scene{name.split('_')[2]}/{name}.mp4", 4, "mp4v")
    for name, videos in UBNORMAL.items():
        (root / f"{name}_video_names.txt").write_text("\n".join(videos))
    video = "abnormal_scene_2_scenario_1"
    folder = root / f"Scene2/{video}_annotations"
    folder.mkdir()
    (folder / f"{video}_tracks.txt").write_text("7,2,2\n3,1,2\n")
    walker, large = {"o1": (0, 0, 4, 9)}, {"o3": (10, 20, 18, 30)}
    maps = [walker, walker | large, walker | large | {"o7": (40, 5, 44, 9)}, walker | {"o3": (20, 20, 28, 30)}]
    for frame, places in enumerate(maps):
        (folder / f"{video}_{frame:04d}_gt.png").write_bytes(encoded(".png", image=object_map(**places)))


def write_folder(root: Path) -> None:
    write_frames(root / "train/lobby", range(3), "{}.jpg")
    write_frames(root / "train/yard", range(3), "{}.png")
    write_frames(root / "train/gate", range(3), "{}.tif")
    write_frames(root / "train/door", range(3), "{}.bmp")
    write_video(root / "train/car park.avi", 3)
    write_video(root / "train/street.mp4", 3, "mp4v")
    write_video(root / "train/roof.mkv", 3)
    write_frames(root / "test/lobby", [10, 11, 13], "{}.jpg")
    for folder in ("test_labels", "test_tracks"):
        (root / folder).mkdir()
    (root / "test_labels/lobby.csv").write_text("frame,label\n11,1\n10,0\n13,1\n")
    (root / "test_tracks/lobby.csv").write_text("track_id,frame,x1,y1,x2,y2\n0,11,1,2,3,4\n")
    write_masks = root / "test_masks/lobby"
    write_masks.mkdir(parents=True)
    (write_masks / "11.png").write_bytes(encoded(".png", image=mask(11) * 255))


WRITERS = {name: globals()[f"write_{name}"] for name in LAYOUTS}


def ids(videos: list[RawVideo], split: str) -> list[str]:
    return [video.id for video in videos if video.split == split]


def pick(videos: list[RawVideo], name: str) -> RawVideo:
    return next(video for video in videos if video.split == "test" and video.id == name)


def labels(video: RawVideo, numbers: list[int]) -> list[int]:
    assert video.labels is not None
    return video.labels.read().at(np.array(numbers)).tolist()


def test_ped2_reads_tif_frames_masks_and_the_matlab_frame_labels_which_win(tmp_path: Path):
    write_ped2(tmp_path)
    videos = read_dataset(dataset("ped2", tmp_path))
    assert ids(videos, "train") == ["Train001", "Train002"]
    assert ids(videos, "test") == ["Test001", "Test002"]  # and no Test001_gt
    first, second = (pick(videos, name) for name in ("Test001", "Test002"))
    assert first.source.files()[0] == tmp_path / "Test/Test001/001.tif"
    assert labels(first, [1, 2, 3, 4, 5, 6]) == [0, 1, 1, 1, 0, 0]
    assert labels(second, [1, 2, 3, 4, 5, 6]) == [1, 1, 0, 0, 1, 1]
    assert np.array_equal(first.masks.read([3], (WIDTH, HEIGHT)).at(0), mask(3) > 0)
    assert not first.masks.read([4], (WIDTH, HEIGHT)).at(0).any()


def test_ped2_takes_frame_labels_from_the_masks_where_there_is_no_matlab_file(tmp_path: Path):
    write_ped2(tmp_path)
    (tmp_path / "Test/UCSDped2.m").rename(tmp_path / "Test/._UCSDped2.m")  # macOS leaves such hidden files
    video = pick(read_dataset(dataset("ped2", tmp_path)), "Test001")
    assert labels(video, [1, 2, 3, 4, 5, 6]) == [0, 1, 1, 0, 0, 0]


def test_ped2_a_test_video_may_have_no_anomalous_frame_but_needs_a_line(tmp_path: Path):
    write_ped2(tmp_path)
    (tmp_path / "Test/UCSDped2.m").write_text("T{end+1}.gt_frame = [];\nT{end+1}.gt_frame = [ 1 :2,4: 5 6];\n")
    videos = read_dataset(dataset("ped2", tmp_path))
    assert labels(pick(videos, "Test001"), [1, 2, 3, 4, 5, 6]) == [0] * 6
    assert labels(pick(videos, "Test002"), [1, 2, 3, 4, 5, 6]) == [1, 1, 0, 1, 1, 1]  # blanks are no matter
    (tmp_path / "Test/UCSDped2.m").write_text("T{end+1}.gt_frame = [2:4];\n")
    with pytest.raises(DataError, match="1 gt_frame lines for 2 test videos"):
        read_dataset(dataset("ped2", tmp_path))


def test_avenue_reads_avi_videos_in_natural_order_and_matlab_cell_arrays(tmp_path: Path):
    write_avenue(tmp_path)
    videos = read_dataset(dataset("avenue", tmp_path))
    assert ids(videos, "train") == [f"{number:02d}" for number in range(1, 11)]
    assert ids(videos, "test") == ["01", "02"]
    first = pick(videos, "01")
    assert isinstance(first.source, VideoFile)
    assert labels(first, [0, 1, 2, 3, 4, 5]) == [1, 0, 0, 0, 1, 1]
    assert np.array_equal(first.masks.read([4], (WIDTH, HEIGHT)).at(0), mask(4) > 0)
    assert not first.masks.read([3], (WIDTH, HEIGHT)).at(0).any()
    assert pick(videos, "02").labels is None


def test_avenue_labels_follow_frame_folders_that_count_from_one(tmp_path: Path):
    write_frames(tmp_path / "training_videos/01", range(1, 4), "{:04d}.jpg")
    write_frames(tmp_path / "testing_videos/01", range(1, 7), "{:04d}.jpg")
    write_avenue_labels(tmp_path / "ground_truth_demo/testing_label_mask/1_label.mat", [0, 4], 6)
    video = pick(read_dataset(dataset("avenue", tmp_path)), "01")
    assert labels(video, [1, 2, 3, 4, 5, 6]) == [1, 0, 0, 0, 1, 0]
    assert np.array_equal(video.masks.read([5], (WIDTH, HEIGHT)).at(0), mask(4) > 0)


def test_shanghaitech_reads_training_avis_test_frames_and_numpy_truth(tmp_path: Path):
    write_shanghaitech(tmp_path)
    videos = read_dataset(dataset("shanghaitech", tmp_path))
    assert ids(videos, "train") == ["01_001", "01_002"]
    assert ids(videos, "test") == ["01_0014", "01_0015"]
    first = pick(videos, "01_0014")
    assert labels(first, [0, 1, 2, 3, 4]) == [0, 0, 1, 1, 0]
    assert np.array_equal(first.masks.read([3], (WIDTH, HEIGHT)).at(0), mask(3) > 0)
    assert pick(videos, "01_0015").labels is None


def test_shanghaitech_labels_other_than_zero_and_one_are_refused(tmp_path: Path):
    write_shanghaitech(tmp_path)
    np.save(tmp_path / "testing/test_frame_mask/01_0014.npy", np.array([0, 2, 1, 1, 0]))
    video = pick(read_dataset(dataset("shanghaitech", tmp_path)), "01_0014")
    with pytest.raises(DataError, match="a row of 0 and 1"):
        labels(video, [0])


def test_streetscene_reads_boxes_by_centre_and_size_and_labels_the_frames_that_have_one(tmp_path: Path):
    write_streetscene(tmp_path)
    videos = read_dataset(dataset("streetscene", tmp_path))
    assert ids(videos, "train") == ["Train001", "Train002"]
    assert ids(videos, "test") == ["Test001", "Test002"]
    first = pick(videos, "Test001")
    assert labels(first, [1, 2, 3, 4, 5, 6]) == [0, 1, 1, 0, 0, 0]
    boxes = first.tracks.read(np.arange(1, 7))
    assert boxes.track.tolist() == [0, 0, 1] and boxes.number.tolist() == [2, 3, 3]
    assert boxes.xyxy.tolist() == [[16, 8, 24, 12], [18, 8, 26, 12], [37.5, 27, 42.5, 33]]
    assert first.source.remarks(6) == []  # the file among the frames is used
    assert pick(videos, "Test002").labels is None


def test_streetscene_takes_ground_truth_beside_the_frame_folders_with_paths_in_it(tmp_path: Path):
    write_streetscene(tmp_path)
    (tmp_path / "Test/Test001/Test001_gt.txt").unlink()
    (tmp_path / "Test/Test001_gt.txt").write_text("/data/Test/Test001/005.jpg 0 20 10 8 4\n\n")
    videos = read_dataset(dataset("streetscene", tmp_path))
    assert labels(pick(videos, "Test001"), [4, 5, 6]) == [0, 1, 0]
    assert all(video.beside == () for video in videos)


def test_an_empty_streetscene_file_is_a_video_without_an_anomaly(tmp_path: Path):
    write_streetscene(tmp_path)
    (tmp_path / "Test/Test002/Test002_gt.txt").touch()
    video = pick(read_dataset(dataset("streetscene", tmp_path)), "Test002")
    assert labels(video, [1, 2]) == [0, 0] and len(video.tracks.read(np.arange(1, 7)).track) == 0


@pytest.mark.parametrize(
    "line",
    ["002.jpg,0,20,10,8,4", "002.jpg 0 20 10 8", "frame 0 20 10 8 4", "002.jpg 0 20 10 0 4", "003.jpg 1 1 1 1 x"],
)
def test_a_streetscene_line_of_another_form_is_refused_with_its_number_and_the_form(tmp_path: Path, line: str):
    write_streetscene(tmp_path)
    (tmp_path / "Test/Test001/Test001_gt.txt").write_text(f"002.jpg 0 20 10 8 4\n{line}\n")
    with pytest.raises(DataError, match=r"Test001_gt.txt, line 2: .*FFF.jpg track x y width height"):
        labels(pick(read_dataset(dataset("streetscene", tmp_path)), "Test001"), [1])


def test_streetscene_boxes_of_frames_that_the_video_does_not_have_are_refused(tmp_path: Path):
    write_streetscene(tmp_path)
    (tmp_path / "Test/Test001/Test001_gt.txt").write_text("060.jpg 0 20 10 8 4\n061.jpg 0 20 10 8 4\n")
    video = pick(read_dataset(dataset("streetscene", tmp_path)), "Test001")
    with pytest.raises(DataError, match="2 of 2 entries are for frames outside 1 to 6"):
        video.tracks.read(np.arange(1, 7))


def test_ubnormal_splits_by_the_owners_lists_and_learns_from_normal_videos_only(tmp_path: Path):
    write_ubnormal(tmp_path)
    videos = read_dataset(dataset("ubnormal", tmp_path))
    assert ids(videos, "train") == ["normal_scene_1_scenario1_1", "normal_scene_2_scenario_1"]
    assert ids(videos, "test") == [
        "normal_scene_1_scenario_2",
        "abnormal_scene_1_scenario_3_fog",
        "abnormal_scene_2_scenario_1",
    ]
    assert videos[0].beside == (
        (tmp_path.name, "1 videos are in no list of normal training or test videos", "ignored"),
    )
    assert labels(pick(videos, "normal_scene_1_scenario_2"), [0, 1, 2, 3]) == [0, 0, 0, 0]
    assert pick(videos, "abnormal_scene_1_scenario_3_fog").labels is None  # no annotations on disk


def test_ubnormal_takes_labels_masks_and_boxes_of_the_objects_while_they_are_anomalous(tmp_path: Path):
    write_ubnormal(tmp_path)
    video = pick(read_dataset(dataset("ubnormal", tmp_path)), "abnormal_scene_2_scenario_1")
    assert labels(video, [0, 1, 2, 3]) == [0, 1, 1, 0]
    masks = video.masks.read([0, 1, 2, 3], (WIDTH, HEIGHT))
    wanted = [object_map(), object_map(o1=(10, 20, 18, 30)), object_map(o1=(10, 20, 18, 30), o2=(40, 5, 44, 9))]
    for position, expected in enumerate([*wanted, object_map()]):
        assert np.array_equal(masks.at(position), expected > 0), position
    boxes = video.tracks.read(np.arange(4))
    assert boxes.track.tolist() == [0, 0, 1] and boxes.number.tolist() == [1, 2, 2]
    assert boxes.xyxy.tolist() == [[10, 20, 18, 30], [10, 20, 18, 30], [40, 5, 44, 9]]


def test_of_an_ubnormal_object_in_parts_the_largest_is_its_box_and_corrected_tracks_win(tmp_path: Path):
    write_ubnormal(tmp_path)
    name = "abnormal_scene_2_scenario_1"
    folder = tmp_path / f"Scene2/{name}_annotations"
    pixels = object_map(o3=(10, 20, 18, 30)) | object_map(o3=(30, 20, 32, 22))  # 80 and 4 pixels
    (folder / f"{name}_0000_gt.png").write_bytes(encoded(".png", image=pixels))
    (folder / f"{name}_new_tracks.txt").write_text("3,0,0\n")
    video = pick(read_dataset(dataset("ubnormal", tmp_path)), name)
    assert labels(video, [0, 1]) == [1, 0]
    assert video.tracks.read(np.arange(4)).xyxy.tolist() == [[10, 20, 18, 30]]
    assert video.masks.read([0], (WIDTH, HEIGHT)).at(0).sum() == 84


@pytest.mark.parametrize(
    "tracks, complaint",
    [
        ("3,2,1\n", "line 1: '3,2,1': must be object_id,start,end"),
        ("3 1 2\n", "line 1: '3 1 2': must be object_id,start,end"),
        ("3,1,2\n3,x,2\n", "line 2: '3,x,2'"),
        ("9,1,1\n", "object 9 is not in the map of frame 1"),
        ("3,3,4\n", "_0004_gt.png: .*: a map of object ids is needed"),
    ],
)
def test_ubnormal_annotations_that_do_not_fit_are_refused(tmp_path: Path, tracks: str, complaint: str):
    write_ubnormal(tmp_path)
    name = "abnormal_scene_2_scenario_1"
    (tmp_path / f"Scene2/{name}_annotations/{name}_tracks.txt").write_text(tracks)
    video = pick(read_dataset(dataset("ubnormal", tmp_path)), name)
    with pytest.raises(DataError, match=complaint):
        video.tracks.read(np.arange(4))


def test_ubnormal_without_a_list_or_without_a_listed_video_is_refused(tmp_path: Path):
    write_ubnormal(tmp_path)
    (tmp_path / "Scene1/normal_scene_1_scenario_2.mp4").unlink()
    with pytest.raises(DataError, match=r"1 of 1 videos are not below .*normal_scene_1_scenario_2.mp4 for instance"):
        read_dataset(dataset("ubnormal", tmp_path))
    (tmp_path / "scripts").mkdir()
    for name in UBNORMAL:
        (tmp_path / f"{name}_video_names.txt").rename(tmp_path / f"scripts/{name}_video_names.txt")
    (tmp_path / "scripts/normal_training_video_names.txt").unlink()
    with pytest.raises(DataError, match=r"normal_training_video_names.txt is missing: .*curl"):
        read_dataset(dataset("ubnormal", tmp_path))


def test_pixelplay26_is_found_below_kaggles_nested_folders_and_keeps_frame_numbers(tmp_path: Path):
    write_pixelplay26(tmp_path)
    for config in (
        dataset("pixelplay26", tmp_path),
        dataset("pixelplay26", None, (str(tmp_path / "absent"), str(tmp_path))),
    ):
        videos = read_dataset(config)
        assert ids(videos, "train") == ids(videos, "test") == ["01", "02"]
        source = pick(videos, "01").source
        assert isinstance(source, ImageFolder)
        assert source.numbers == (939, 940, 943, 944)
        assert pick(videos, "01").labels is None


def test_pixelplay26_takes_avenues_own_labels_by_frame_number(tmp_path: Path):
    write_pixelplay26(tmp_path)
    home = find_root(dataset("pixelplay26", tmp_path))
    write_avenue_labels(home / "testing_label_mask/1_label.mat", [939, 941, 943], 1000)
    video = pick(read_dataset(dataset("pixelplay26", tmp_path)), "01")
    assert labels(video, [939, 940, 943, 944]) == [1, 0, 1, 0]
    assert video.masks.read([943], (WIDTH, HEIGHT)).at(0).any()
    with pytest.raises(DataError, match="frame 1000 has no label"):
        labels(video, [939, 1000])


def test_a_folder_may_mix_frame_folders_of_every_type_and_video_files(tmp_path: Path):
    write_folder(tmp_path)
    (tmp_path / "train/notes.txt").touch()
    (tmp_path / "train/.ipynb_checkpoints").mkdir()
    videos = read_dataset(dataset("folder", tmp_path))
    assert ids(videos, "train") == ["car park", "door", "gate", "lobby", "roof", "street", "yard"]
    for video in videos:
        frames = list(video.source.read(gray=True, color=False))
        assert len(frames) == 3 and all(frame.gray is not None for frame in frames), video.id
    lobby = pick(videos, "lobby")
    assert labels(lobby, [10, 11, 13]) == [0, 1, 1]
    assert np.array_equal(lobby.masks.read([11], (WIDTH, HEIGHT)).at(0), mask(11) > 0)
    assert not lobby.masks.read([13], (WIDTH, HEIGHT)).at(0).any()
    assert lobby.tracks.path == tmp_path / "test_tracks/lobby.csv"
    assert lobby.tracks.read(np.array([10, 11, 13])).number.tolist() == [11]


TRACK_NAMES = {  # of a test video, and how a published file of its tracks may be called
    "avenue": ("01", "1.txt"),
    "folder": ("lobby", "lobby.csv"),
    "ped2": ("Test002", "Test002.txt"),
    "pixelplay26": ("02", "02.txt"),
    "shanghaitech": ("01_0014", "01_0014.txt"),
    "streetscene": ("Test002", "Test002.txt"),
    "ubnormal": ("abnormal_scene_1_scenario_3_fog", "abnormal_scene_1_scenario_3_fog.txt"),
}


def write_tracks(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("0,2,1,2,3,4\n")
    return folder


def in_folder(folder: Path, videos: list[RawVideo]) -> dict[str, Path]:
    """The track files in a folder, by video: some layouts have others of their own."""
    return {v.id: v.tracks.path for v in videos if v.tracks and v.tracks.path.parent == folder}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_takes_published_track_files_from_below_its_root_or_from_a_folder_of_their_own(
    tmp_path: Path, layout: str
):
    video, name = TRACK_NAMES[layout]
    WRITERS[layout](tmp_path / "data")
    root = find_root(dataset(layout, tmp_path / "data"))
    own = write_tracks(tmp_path / "tracks", name, "notes.md", ".hidden.txt", "elsewhere.txt")
    videos = read_dataset(dataset(layout, tmp_path / "data", tracks=own))
    assert in_folder(own, videos) == {video: own / name}
    assert read_tracks(own / name).xyxy.tolist() == [[1, 2, 3, 4]]
    below = write_tracks(root / "test_tracks", name)
    videos = read_dataset(dataset(layout, tmp_path / "data"))
    assert in_folder(below, videos) == {video: below / name}
    assert {v.split for v in videos if v.tracks} == {"test"}  # where a training video is called alike, too


def test_two_track_files_of_one_video_are_refused(tmp_path: Path):
    write_ped2(tmp_path / "data")
    folder = write_tracks(tmp_path / "tracks", "Test001.csv", "Test001.txt")
    with pytest.raises(DataError, match=r"Test001\.csv and Test001\.txt are tracks of one video; keep one"):
        read_dataset(dataset("ped2", tmp_path / "data", tracks=folder))
    write_avenue(tmp_path / "avenue")
    folder = write_tracks(tmp_path / "other", "1.txt", "01.txt")
    with pytest.raises(DataError, match=r"01\.txt and 1\.txt are tracks of one video"):
        read_dataset(dataset("avenue", tmp_path / "avenue", tracks=folder))


@pytest.mark.parametrize("named", [True, False])
def test_track_files_that_are_called_after_no_test_video_are_refused_with_what_to_call_them(tmp_path, named):
    write_ped2(tmp_path / "data")
    folder = write_tracks(tmp_path / "tracks" if named else tmp_path / "data/test_tracks", "2.txt", "Train001.txt")
    with pytest.raises(DataError, match=r"2\.txt and all others belong to no test video.*Test001\.csv or Test001\.txt"):
        read_dataset(dataset("ped2", tmp_path / "data", tracks=folder if named else None))


def test_hidden_copies_of_track_files_are_none(tmp_path: Path):
    write_ped2(tmp_path)
    write_tracks(tmp_path / "test_tracks", "._Test001.txt")  # macOS leaves such
    assert not any(video.tracks for video in read_dataset(dataset("ped2", tmp_path)))


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("layout", ["ped2", "streetscene"])  # of which the second has tracks of its own
def test_a_named_folder_without_track_files_is_refused_with_the_key(tmp_path: Path, there: bool, layout: str):
    WRITERS[layout](tmp_path / "data")
    folder = tmp_path / "tracks"
    if there:
        write_tracks(folder, "README.md")
    with pytest.raises(ConfigError, match=r"dataset\.tracks=.*tracks: no track file of a test video is there"):
        read_dataset(dataset(layout, tmp_path / "data", tracks=folder))


def test_videos_stand_in_natural_order(tmp_path: Path):
    for name in ("10", "9", "1"):
        write_frames(tmp_path / "train" / name, range(1))
        write_frames(tmp_path / "test" / name, range(1))
    videos = read_dataset(dataset("folder", tmp_path))
    assert [(video.split, video.id) for video in videos] == [
        (s, i) for s in ("train", "test") for i in ("1", "9", "10")
    ]


def test_a_label_table_saved_by_a_spreadsheet_is_read(tmp_path: Path):
    write_folder(tmp_path)
    (tmp_path / "test_labels/lobby.csv").write_text("frame,label\r\n10,1\r\n11,0\r\n13,0\r\n", encoding="utf-8-sig")
    assert labels(pick(read_dataset(dataset("folder", tmp_path)), "lobby"), [10, 11, 13]) == [1, 0, 0]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_listing_a_data_set_reads_no_label_file(tmp_path: Path, layout: str):
    WRITERS[layout](tmp_path)
    truth = [p for p in tmp_path.rglob("*") if p.suffix in (".mat", ".npy", ".csv") or p.parent.name.endswith("_gt")]
    for path in truth:
        path.write_bytes(b"damaged")
    assert read_dataset(dataset(layout, tmp_path))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("place", ["absent", "empty", "file"])
def test_a_missing_or_empty_root_is_refused_with_the_expected_layout_and_the_key(
    tmp_path: Path, layout: str, place: str
):
    root = tmp_path / place
    if place == "empty":
        root.mkdir()
    elif place == "file":
        root.touch()
    with pytest.raises(DataError) as error:
        read_dataset(dataset(layout, root))
    message = str(error.value)
    assert str(root) in message
    assert "dataset.root=FOLDER" in message
    assert "expected layout:\n" + importlib.import_module(f"pixelplay.videos.layouts.{layout}").EXPECTED in message


def test_a_root_that_was_never_named_is_refused_with_all_places_that_were_tried():
    with pytest.raises(DataError, match="no such folder: /nowhere/a, /nowhere/b"):
        read_dataset(dataset("ped2", None, ("/nowhere/a", "/nowhere/b")))


def test_several_data_sets_below_the_root_are_not_chosen_from_silently(tmp_path: Path):
    for name in ("UCSDped1", "UCSDped2", "__MACOSX", ".hidden"):
        write_ped2(tmp_path / name)
    with pytest.raises(DataError, match=r"several are below .*UCSDped1, .*UCSDped2;.*dataset\.root=FOLDER"):
        read_dataset(dataset("ped2", tmp_path))
    assert find_root(dataset("ped2", tmp_path / "UCSDped2")) == tmp_path / "UCSDped2"


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_folder(tmp_path / "data")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_root(dataset("folder", Path("~/data"))) == tmp_path / "data"


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_without_videos_is_refused(tmp_path: Path, split: str):
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
    write_frames(tmp_path / ("test" if split == "train" else "train") / "a", range(2))
    with pytest.raises(DataError, match=f"no {split} videos; expected layout"):
        read_dataset(dataset("folder", tmp_path))


def test_a_video_folder_without_frames_is_refused_by_name(tmp_path: Path):
    write_folder(tmp_path)
    (tmp_path / "train/empty").mkdir()
    with pytest.raises(DataError, match=r"train/empty: no image among 0 files"):
        read_dataset(dataset("folder", tmp_path))


def test_two_videos_of_one_name_are_refused(tmp_path: Path):
    write_folder(tmp_path)
    write_video(tmp_path / "train/lobby.avi", 2)
    with pytest.raises(DataError, match="two train videos are called 'lobby'"):
        read_dataset(dataset("folder", tmp_path))


def test_an_unknown_layout_is_refused_with_the_known_ones():
    config = dataset("folder", Path("/nowhere")).model_copy(update={"layout": "ped1"})
    with pytest.raises(
        ConfigError,
        match=r"'ped1'.*did you mean 'ped2'.*avenue, folder, ped2, pixelplay26, shanghaitech, streetscene, ubnormal",
    ):
        read_dataset(config)


def test_ped2_frames_are_those_that_were_written(tmp_path: Path):
    write_ped2(tmp_path)
    [frame, *_] = pick(read_dataset(dataset("ped2", tmp_path)), "Test001").source.read(False, True)
    assert np.array_equal(frame.color, picture(1))
    assert np.array_equal(frame.color, cv2.imread(str(tmp_path / "Test/Test001/001.tif"))[..., ::-1])


# --- what is no footage, and names that are no text -------------------------------------------------------------------


def test_what_is_ignored_beside_videos_is_remarked_on_once_for_each_folder(tmp_path: Path):
    write_folder(tmp_path)
    for name in ("notes.txt", "001.jpg", "clip.xyz", ".hidden", "._street.mp4"):
        (tmp_path / "train" / name).write_bytes(b"x")
    (tmp_path / "test/readme").touch()
    videos = read_dataset(dataset("folder", tmp_path))
    ignored = "neither a video file nor a folder of frames", "ignored"
    found = [(video.split, video.beside) for video in videos if video.beside]
    assert found == [
        ("train", tuple((name, *ignored) for name in ("001.jpg", "clip.xyz", "notes.txt"))),
        ("test", (("readme", *ignored),)),
    ]


def test_a_folder_and_a_file_among_frames_are_remarked_on(tmp_path: Path):
    write_frames(tmp_path, range(2))
    write_frames(tmp_path / "more", range(2))
    (tmp_path / "index.html").touch()
    assert ImageFolder.scan(tmp_path).remarks(2) == [
        ("index.html", "not an image", "ignored"),
        ("more", "a folder among frames", "ignored"),
    ]


def test_masks_and_labels_beside_ped2_s_videos_are_not_called_ignored(tmp_path: Path):
    write_ped2(tmp_path)
    assert [video.beside for video in read_dataset(dataset("ped2", tmp_path))] == [()] * 4


def test_a_tiff_of_several_pages_beside_video_files_is_a_video(tmp_path: Path):
    write_folder(tmp_path)
    (tmp_path / "train/stack.TIF").write_bytes(tiff([picture(seed) for seed in range(5)]))
    (tmp_path / "train/single.tif").write_bytes(tiff([picture(0)]))
    videos = read_dataset(dataset("folder", tmp_path))
    stack = next(video for video in videos if video.id == "stack")
    frames = list(stack.source.read(False, True))
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    assert np.array_equal(frames[4].color, picture(4))
    assert stack.source.remarks(5)[0][:2] == ("stack.TIF", "5 pages in 1 file")
    assert [name for name, _, _ in videos[0].beside] == ["single.tif"]


@pytest.mark.parametrize("place", [b"train/yard/\xff7.png", b"train/ya\xff", b"test/ro\xe4d.avi", b"test/st\xff.tif"])
def test_a_name_that_is_not_utf_8_is_refused_when_listed_and_shown_readably(tmp_path: Path, place: bytes):
    write_folder(tmp_path)
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + place))
    if path.suffix == ".avi":
        write_video(tmp_path / "ok.avi", 2)
        (tmp_path / "ok.avi").rename(path)
    elif path.suffix == ".tif":
        path.write_bytes(tiff([picture(0), picture(1)]))
    elif path.suffix:
        path.write_bytes(encoded(".png"))
    else:
        write_frames(path, range(2))
    shown = place.decode("utf-8", "backslashreplace")
    with pytest.raises(DataError) as error:
        read_dataset(dataset("folder", tmp_path))
    assert str(error.value).startswith(f"{tmp_path}/{shown}: the name is not UTF-8")
    str(error.value).encode()


def test_other_files_whose_names_are_not_utf_8_are_listed_readably(tmp_path: Path):
    write_folder(tmp_path)
    for folder in ("train", "train/yard"):
        Path(os.fsdecode(os.fsencode(tmp_path / folder) + b"/n\xf6tes.txt")).touch()
    videos = read_dataset(dataset("folder", tmp_path))
    assert videos[0].beside[0][0] == "n\\xf6tes.txt"
    yard = next(video for video in videos if video.id == "yard")
    assert yard.source.remarks(3)[0][0] == "n\\xf6tes.txt"


def test_a_video_called_na_is_a_video(tmp_path: Path):
    write_folder(tmp_path)
    write_frames(tmp_path / "test/NA", range(3))
    assert ids(read_dataset(dataset("folder", tmp_path)), "test") == ["lobby", "NA"]
