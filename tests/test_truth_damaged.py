"""Damaged and hostile truth files: an error that names the file and the line, never a traceback or a dead process."""

import os
import random
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from tests.footage import dataset, encoded, write_frames
from tests.test_layouts import labels, pick, write_ped2, write_shanghaitech

from pixelplay.errors import DataError, PixelPlayError
from pixelplay.videos.layouts import avenue, folder, read_dataset, shanghaitech
from pixelplay.videos.mask_files import MaskFiles, load_avenue_masks, read_mask_image
from pixelplay.videos.truth_files import read_tracks

LONG = "1" * 5000  # more digits than Python turns into a number


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"frame,label\n0,1\n" + LONG.encode() + b",1\n", "line 3: a frame number and a label"),
        (b"frame,label\n18446744073709551616,1\n", "line 2: a frame number and a label"),
        (b'frame,label\n0,1\n"' + b"x" * 131_073 + b'",1\n', "line 3: field larger than field limit"),
        (b"frame,label\n0,1\n1\0,1\n", "line 3: a zero byte"),
        ("frame,label\n0,1\n".encode("utf-16"), "line 1: a zero byte; save the file as text in UTF-8"),
        (b"frame,label\n\xff\xfe,1\n", "line 2: a frame number and a label"),
        (b"frame,label\n0\n", "line 2: a frame number and a label"),
        (b"frame,label\n0,1\n0,0\n", "line 3: a second label for frame 0"),
        (b"frame,label\n1,0\n2,yes\n", "line 3: a frame number and a label 0 or 1"),
        (b"frame,label\n-1,0\n", "line 2: a frame number and a label"),
        (b"frame\n0\n", "must name the columns frame,label"),
        (b"frame;label\n1;0\n", "must name the columns frame,label"),
        (b"", "must name the columns frame,label"),
        ("frame,label\n²,1\n".encode(), "line 2: a frame number and a label"),
    ],
)
def test_a_label_table_is_refused_with_its_line(tmp_path: Path, data: bytes, complaint: str):
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(DataError, match=rf"a\.csv(:|, ).*{complaint}"):
        folder.read_labels(tmp_path / "a.csv")


def test_a_label_table_may_have_other_columns_blanks_and_text_of_another_encoding(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes("label;,note,frame, label\n;,Fußgänger, 3 ,1\n\n;,,007, 0\n".encode("latin-1"))
    found = folder.read_labels(tmp_path / "a.csv")
    assert (found.numbers.tolist(), found.values.tolist()) == ([3, 7], [1, 0])


NO_TRACK = (
    *("1,2,0,0,5", "1,2,0,0,5,5,9", "1,2,a,0,5,5", "1.5,2,0,0,5,5", "1,nan,0,0,5,5", "1e300,2,0,0,5,5"),
    *("1,2,0,0,inf,5", "1,2,5,0,5,5", "1,2,0,6,5,5", "track_id,frame,x1,y1,x2,y2", f"1,{LONG},0,0,5,5"),
    *("1,18446744073709551616,0,0,5,5", "1,inf,0,0,5,5", "1,-1,0,0,5,5", "1,2,0,0,nan,5", "1,2,0,0,1e400,5"),
)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        *((line, f"'{line[:80]}': must be track_id,frame,x1,y1,x2,y2, x1 < x2, y1 < y2") for line in NO_TRACK),
        ("0,0,1,1,2,2", "'0,0,1,1,2,2': a track is in a frame once"),
        ("1,2,0,0,5,5\0", "a zero byte"),
        ("x" * 131_073, "field larger than field limit"),
    ],
)
def test_a_track_file_is_refused_with_its_line(tmp_path: Path, line: str, complaint: str):
    (tmp_path / "a.txt").write_text(f"0,0,0,0,5,5\n{line}\n")
    with pytest.raises(DataError, match=rf"a\.txt, line 2: .*{complaint}"):
        read_tracks(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("gt_frame", "complaint"),
    [
        ("2:7", "goes to 7, its last frame is 6"),
        ("2:x", "has '2:x', not a range such as 61:180"),
        ("3:2", "has '3:2': frames count from 1, and a range goes upwards"),
        ("0:2", "has '0:2': frames count from 1"),
        ("1:2:6", "has '1:2:6', not a range"),
        (f"1:{LONG}", "not a range such as 61:180"),
        ("18446744073709551616", "not a range such as 61:180"),
        ("1:", "has '1:', not a range"),
        ("-1", "has '-1', not a range"),
    ],
)
def test_a_gt_frame_that_labels_nothing_or_is_no_range_is_refused(tmp_path: Path, gt_frame: str, complaint: str):
    write_ped2(tmp_path)
    (tmp_path / "Test/UCSDped2.m").write_text(f"T{{end+1}}.gt_frame = [{gt_frame}];\nT{{end+1}}.gt_frame = [1];\n")
    with pytest.raises(DataError, match=rf"UCSDped2\.m: gt_frame of Test001 .*{complaint}"):
        labels(pick(read_dataset(dataset("ped2", tmp_path)), "Test001"), [1, 2, 3, 4, 5, 6])


def npy_claiming(shape: str, kind: str = "|u1") -> bytes:
    """A .npy whose header claims a shape, with one byte of data."""
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + b"\1"


def npy(array: np.ndarray) -> bytes:
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize(
    "data",
    [
        npy(np.array([(0, 1)], [("frame", int), ("label", int)])),
        npy(np.array(["0", "1", "1", "0", "0"])),
        npy(np.array([0, None, 1, 1, 0], object)),
        npy(np.array(1)),
        npy(np.array([0, 0.5, 1, 1, 0])),
        npy(np.array([0, np.nan, 1, 1, 0])),
        npy(np.array([0, 1j, 1, 1, 0])),
        npy(np.zeros(5, "datetime64[s]")),
        npy_claiming("(9223372036854775807,)"),
        npy_claiming("(4294967296, 4294967296)"),
        npy_claiming("(100000000000,)"),
        npy_claiming("(-1,)"),
        npy_claiming(f"({LONG},)"),
    ],
)
def test_an_npy_that_is_no_row_of_labels_is_refused(tmp_path: Path, data: bytes):
    write_shanghaitech(tmp_path)
    (tmp_path / "testing/test_frame_mask/01_0014.npy").write_bytes(data)
    with pytest.raises(DataError, match=r"01_0014\.npy: "):
        labels(pick(read_dataset(dataset("shanghaitech", tmp_path)), "01_0014"), [0, 1, 2, 3, 4])


def test_float_labels_that_are_0_or_1_are_read(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([0.0, 1.0]))
    assert shanghaitech.read_labels(tmp_path / "a.npy", 0, True).values.tolist() == [0, 1]


def test_a_row_of_labels_longer_than_any_video_is_refused_unread(tmp_path: Path):
    with open(tmp_path / "a.npy", "wb") as file:
        file.write(npy_claiming("(40000000000,)"))
        file.truncate(40_000_000_128)  # sparse: it takes no room on disk
    with pytest.raises(DataError, match=r"a\.npy: labels must be a row of 0 and 1"):
        shanghaitech.read_labels(tmp_path / "a.npy", 0, True)


def test_truth_files_that_are_special_are_refused_instead_of_waited_for(tmp_path: Path):
    write_frames(tmp_path / "train/a", range(2))
    write_frames(tmp_path / "test/a", range(2))
    for name in ("test_labels", "test_tracks"):
        (tmp_path / name).mkdir()
        os.mkfifo(tmp_path / name / "a.csv")
    video = pick(read_dataset(dataset("folder", tmp_path)), "a")
    with pytest.raises(DataError, match=r"test_labels/a\.csv: not a regular file"):
        labels(video, [0, 1])
    with pytest.raises(DataError, match=r"test_tracks/a\.csv: not a regular file"):
        video.tracks.read(np.arange(2))
    (tmp_path / "test_labels/a.csv").unlink()
    (tmp_path / "test_labels/a.csv").symlink_to(tmp_path / "nowhere")  # a disk that is not mounted
    with pytest.raises(DataError, match="a link to nothing"):
        labels(pick(read_dataset(dataset("folder", tmp_path)), "a"), [0, 1])


# --- Avenue's MATLAB files --------------------------------------------------------------------------------------------


def avenue_file(path: Path) -> bytes:
    cells = np.empty((1, 3), object)
    cells[0, :] = [np.full((6, 8), i, np.uint8) for i in range(3)]
    savemat(path, {"volLabel": cells}, do_compression=False)
    return path.read_bytes()


@pytest.mark.parametrize("seed", [58, 90, 96, 298])  # with SciPy 1.17 each ends the process that reads the file
def test_a_matlab_file_with_three_flipped_bits_is_an_error_and_not_the_end_of_the_process(tmp_path: Path, seed: int):
    data, rng = bytearray(avenue_file(tmp_path / "a.mat")), random.Random(seed)
    for _ in range(3):
        at = rng.randrange(128, len(data))  # behind the header, which has the date
        data[at] ^= 1 << rng.randrange(8)
    (tmp_path / "a.mat").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.mat: cannot be read as a MATLAB file"):
        load_avenue_masks(tmp_path / "a.mat")


def test_avenue_masks_come_out_of_the_other_process_as_they_are(tmp_path: Path):
    cells, rng = np.empty((1, 4), object), np.random.default_rng(0)
    cells[0, :] = [(rng.random((7, 9)) < 0.3).astype(kind) * 3 for kind in (np.uint8, np.uint16, np.float64, bool)]
    cells[0, 3] = np.zeros((7, 9), bool)
    savemat(tmp_path / "a.mat", {"volLabel": cells})
    masks = load_avenue_masks(tmp_path / "a.mat")
    assert len(masks) == 4
    assert all(np.array_equal(masks.at(i), cell > 0) for i, cell in enumerate(cells[0]))
    assert avenue.read_labels(tmp_path / "a.mat", 5, True).values.tolist() == [1, 1, 1, 0]
    assert load_avenue_masks(tmp_path / "a.mat") is masks  # one process for labels and masks
    avenue_file(tmp_path / "a.mat")
    assert len(load_avenue_masks(tmp_path / "a.mat")) == 3  # and another one for another file of that name


@pytest.mark.parametrize("value", [np.zeros((6, 8)), [np.zeros((6, 8)), np.zeros((8, 6))], ["a", "b"], [np.zeros(0)]])
def test_a_vol_label_that_is_no_cell_array_of_masks_is_refused(tmp_path: Path, value: object):
    if isinstance(value, list):
        cells = np.empty((1, len(value)), object)
        cells[0, :] = value
        value = cells
    savemat(tmp_path / "a.mat", {"volLabel": value})
    with pytest.raises(DataError, match=r"a\.mat: volLabel must be a cell array of masks"):
        load_avenue_masks(tmp_path / "a.mat")


# --- mutations --------------------------------------------------------------------------------------------------------


def palette_png() -> bytes:
    image, buffer = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).convert("P"), BytesIO()
    image.save(buffer, "PNG", transparency=1)
    return buffer.getvalue()


def images() -> dict[str, bytes]:
    pixels = np.arange(48, dtype=np.uint8).reshape(6, 8)
    _, deep = cv2.imencode(".tif", pixels.astype(np.uint16))
    plain = {f"a{suffix}": encoded(suffix, image=pixels) for suffix in (".png", ".bmp", ".jpg")}
    return plain | {"deep.tif": deep.tobytes(), "palette.png": palette_png()}


READERS: dict[str, tuple[dict[str, bytes], Callable[[Path], object]]] = {
    "labels": ({"a.csv": b"frame,label\n0,1\n1,0\n2,0\n"}, lambda path: folder.read_labels(path).at(np.arange(3))),
    "tracks": ({"a.txt": b"track_id,frame,x1,y1,x2,y2\n0,1,1.5,2,3,4\n0,2,1,2,3,4e0\n"}, read_tracks),
    "npy labels": (
        {"a.npy": npy(np.array([0, 1, 1], np.int8))},
        lambda path: shanghaitech.read_labels(path, 0, True).at(np.arange(3)),
    ),
    "npy masks": (
        {"b.npy": npy(np.ones((2, 6, 8), np.uint8))},
        lambda path: MaskFiles("npy", str(path)).read([1], (8, 6)).at(0),
    ),
    "images": (images(), read_mask_image),
}


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, repeated, removed or put in, or the end cut off."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        piece = rng.choice([b"\0", b"\xff", b'"', b"\n", b"-1", b"9" * 25, b"1e999", b"nan", rng.randbytes(3)])
        kind = rng.randrange(5)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at:at] = piece
        elif kind == 2:
            changed[at : at + len(piece)] = piece
        elif kind == 3:
            del changed[at : at + rng.randint(1, 8)]
        else:
            changed[at:at] = changed[at : at + rng.randint(1, 40)]
    return bytes(changed[: rng.randrange(len(changed) + 1)] if rng.random() < 0.1 else changed)


@pytest.mark.filterwarnings("ignore")  # NumPy and Pillow warn of damaged headers
@pytest.mark.parametrize("reader", READERS)
def test_of_a_mutated_file_comes_nothing_but_its_content_or_an_error_for_users(tmp_path: Path, reader: str):
    files, read = READERS[reader]
    refused = 0
    for seed in range(300):
        rng = random.Random(seed)
        name = rng.choice(list(files))
        (tmp_path / name).write_bytes(mutated(files[name], rng))
        try:
            read(tmp_path / name)
        except PixelPlayError as error:
            refused += 1
            assert name in str(error)
    assert 30 < refused < 300  # most mutations matter, and not all
