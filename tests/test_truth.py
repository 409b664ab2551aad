"""Ground truth: labels that must belong to their frames, masks read one at a time, damaged files refused."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from tests.footage import encoded

from pixelplay.errors import DataError
from pixelplay.videos.mask_files import MaskFiles, load_avenue_masks, load_npy
from pixelplay.videos.truth_files import FrameLabels, read_tracks

SIZE = (8, 6)  # width, height


def frame_labels(numbers: list[int], exact: bool = True) -> FrameLabels:
    """Odd frames are anomalous."""
    return FrameLabels(Path("labels.csv"), np.array(numbers, np.int64), np.array(numbers, np.uint8) % 2, exact)


def write_cells(path: Path, cells: list[np.ndarray], name: str = "volLabel") -> None:
    array = np.empty((1, len(cells)), object)
    array[0, :] = cells
    savemat(path, {name: array}, do_compression=True)


def test_labels_are_found_by_frame_number():
    found = frame_labels([3, 4, 7, 9]).at(np.array([3, 4, 7, 9]))
    assert found.tolist() == [1, 0, 1, 1]
    assert found.dtype == np.uint8


@pytest.mark.parametrize(
    "labelled, frames, complaint",
    [
        ([0, 1, 2], [0, 1], "3 labels for a video of 2 frames"),
        ([0, 1], [0, 1, 2], "2 labels for a video of 3 frames; frame 2 has no label"),
        ([0, 1, 3], [0, 1, 2], "3 labels for a video of 3 frames; frame 2 has no label"),
        ([1, 1, 3], [1, 2, 3], "frame 2 has no label"),
        ([], [0, 1], "0 labels for a video of 2 frames; frame 0 has no label"),
    ],
)
def test_labels_that_do_not_match_the_frames_are_refused(labelled: list[int], frames: list[int], complaint: str):
    with pytest.raises(DataError, match=rf"labels\.csv: .*{complaint}"):
        frame_labels(labelled).at(np.array(frames))


def test_frames_that_a_video_file_dropped_leave_the_labels_of_the_others_in_place():
    assert frame_labels([0, 1, 2, 3]).at(np.array([0, 1, 3])).tolist() == [0, 1, 1]
    with pytest.raises(DataError, match="5 labels for a video of 3 frames"):
        frame_labels([0, 1, 2, 3, 4]).at(np.array([0, 1, 3]))


def test_labels_of_missing_frames_are_left_out_only_where_frames_may_be_missing():
    assert frame_labels([0, 1, 2, 3, 4], exact=False).at(np.array([1, 4])).tolist() == [1, 0]
    with pytest.raises(DataError, match="frame 5 has no label"):
        frame_labels([0, 1, 2, 3, 4], exact=False).at(np.array([1, 5]))


def test_masks_are_opened_only_when_they_are_read(tmp_path: Path):
    masks = [
        MaskFiles("images", str(tmp_path), {1: "1.png"}),
        MaskFiles("npy", str(tmp_path / "a.npy"), first=1),
        MaskFiles("avenue_mat", str(tmp_path / "a.mat"), first=1),
    ]  # nothing is on disk yet
    pixels = np.arange(48, dtype=np.uint8).reshape(6, 8) % 3
    (tmp_path / "1.png").write_bytes(encoded(".png", image=pixels))
    np.save(tmp_path / "a.npy", np.stack([pixels, 1 - pixels % 2]))
    write_cells(tmp_path / "a.mat", [pixels, 1 - pixels % 2])
    for mask in masks:
        read = mask.read([1], SIZE).at(0)
        assert read.dtype == bool and np.array_equal(read, pixels > 0), mask.kind


def test_a_frame_without_a_mask_image_has_no_anomalous_pixel(tmp_path: Path):
    read = MaskFiles("images", str(tmp_path), {}).read([5], SIZE).at(0)
    assert read.shape == (6, 8) and not read.any()


@pytest.mark.parametrize("number", [0, 3])
def test_a_frame_before_or_after_a_stack_of_masks_is_refused(tmp_path: Path, number: int):
    np.save(tmp_path / "a.npy", np.zeros((2, 6, 8), np.uint8))
    with pytest.raises(DataError, match=f"no mask for frame {number} among 2"):
        MaskFiles("npy", str(tmp_path / "a.npy"), first=1).read([number], SIZE).at(0)


@pytest.mark.parametrize("shape", [(2, 8, 6), (2, 6), (2,)])
def test_a_mask_of_another_size_than_the_frame_is_refused(tmp_path: Path, shape: tuple[int, ...]):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    with pytest.raises(DataError, match=r"mask of frame 0 .* the frame \(6, 8\)"):
        MaskFiles("npy", str(tmp_path / "a.npy")).read([0], SIZE).at(0)


def test_a_mask_image_that_is_damaged_is_refused(tmp_path: Path):
    (tmp_path / "1.png").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"1\.png: cannot be read as a mask image"):
        MaskFiles("images", str(tmp_path), {1: "1.png"}).read([1], SIZE).at(0)


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("as_array", [True, False])
def test_a_pickled_npy_is_refused_and_never_unpickled(tmp_path: Path, as_array: bool):
    sprung, file = tmp_path / "sprung", tmp_path / "a.npy"
    if as_array:
        np.save(file, np.array([Trap(sprung)], object), allow_pickle=True)
    else:
        file.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(DataError, match=r"a\.npy: cannot be read as a plain \.npy array"):
        load_npy(file)
    assert not sprung.exists()
    (np.load(file, allow_pickle=True) if as_array else pickle.loads(file.read_bytes()))
    assert sprung.exists()  # the trap works: a file of this test's own, so that refusing it means something


def test_an_npy_cut_anywhere_is_refused(tmp_path: Path):
    np.save(tmp_path / "whole.npy", np.zeros((5, 3, 4), np.uint8))
    data = (tmp_path / "whole.npy").read_bytes()
    for length in range(len(data)):
        (tmp_path / "a.npy").write_bytes(data[:length])
        with pytest.raises(DataError, match=r"a\.npy"):
            load_npy(tmp_path / "a.npy")


@pytest.mark.parametrize("data", [b"", b"garbage", b"PK\x03\x04garbage", b"\x93NUMPY\x01\x00\x10\x00{'descr': (((  \n"])
def test_an_npy_of_garbage_is_refused(tmp_path: Path, data: bytes):
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.npy"):
        load_npy(tmp_path / "a.npy")


@pytest.mark.parametrize("compressed", [True, False])
def test_a_matlab_file_cut_anywhere_is_refused(tmp_path: Path, compressed: bool):
    cells = np.empty((1, 3), object)
    cells[0, :] = [np.full((6, 8), i, np.uint8) for i in range(3)]
    savemat(tmp_path / "whole.mat", {"volLabel": cells}, do_compression=compressed)
    data = (tmp_path / "whole.mat").read_bytes()
    assert len(load_avenue_masks(tmp_path / "whole.mat")) == 3
    for length in range(0, len(data), len(data) // 8):  # each is a process of its own
        (tmp_path / "a.mat").write_bytes(data[:length])
        with pytest.raises(DataError, match=r"a\.mat"):
            load_avenue_masks(tmp_path / "a.mat")


def test_a_matlab_file_without_the_label_variable_and_a_text_file_in_its_place_are_refused(tmp_path: Path):
    write_cells(tmp_path / "a.mat", [np.zeros((2, 2))], name="vol")
    with pytest.raises(DataError, match=r"a\.mat: no variable volLabel"):
        load_avenue_masks(tmp_path / "a.mat")
    (tmp_path / "a.mat").write_text("garbage " * 100)
    with pytest.raises(DataError, match=r"a\.mat: cannot be read as a MATLAB file"):
        load_avenue_masks(tmp_path / "a.mat")


# --- track files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["track_id,frame,x1,y1,x2,y2\n", "\ufefftrack_id,frame,x1,y1,x2,y2\r\n", ""])
def test_tracks_are_read_with_and_without_a_header(tmp_path: Path, head: str):
    path = tmp_path / "01.csv"
    path.write_text(head + "3,12,1.5,2,10,20\n\n 0.0, 7, 0, 0, 1e1, 5 \n", encoding="utf-8")
    found = read_tracks(path)
    assert (found.track.tolist(), found.number.tolist()) == ([3, 0], [12, 7])
    assert found.xyxy.tolist() == [[1.5, 2, 10, 20], [0, 0, 10, 5]]
    assert (found.track.dtype, found.xyxy.dtype) == (np.int64, np.float64)


@pytest.mark.parametrize("text", ["", "track_id,frame,x1,y1,x2,y2\n"])
def test_a_track_file_without_rows_has_no_tracks(tmp_path: Path, text: str):
    (tmp_path / "01.csv").write_text(text)
    found = read_tracks(tmp_path / "01.csv")
    assert (found.track.shape, found.number.shape, found.xyxy.shape) == ((0,), (0,), (0, 4))
