"""Mask images of every kind that data sets and tools write: anomalous is what is stored above 0, read unchanged."""

import os
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.footage import encoded
from tests.odd_images import png_of_size

from pixelplay.errors import DataError
from pixelplay.videos.mask_files import MaskFiles, load_avenue_masks, read_mask_image

VALUES = np.array([[0, 1, 0], [2, 0, 200]])
EXPECTED = VALUES > 0


def stored(path: Path, data: bytes) -> np.ndarray:
    """The mask of a file with these bytes, which must give no remark."""
    path.write_bytes(data)
    pixels, remark = read_mask_image(path)
    assert remark is None and pixels.dtype == bool
    return pixels


DEPTHS = [(".tif", kind) for kind in (np.uint8, np.uint16, np.int16, np.int32, np.float32)]


@pytest.mark.parametrize(("suffix", "kind"), [*DEPTHS, (".png", np.uint8), (".png", np.uint16)])
def test_a_value_of_1_is_anomalous_in_every_depth(tmp_path: Path, suffix: str, kind: type):
    ok, data = cv2.imencode(suffix, VALUES.astype(kind))
    assert ok and np.array_equal(stored(tmp_path / f"a{suffix}", data.tobytes()), EXPECTED)


def test_values_below_0_and_nan_are_normal(tmp_path: Path):
    _, data = cv2.imencode(".tif", np.array([[0, -1, np.nan, 1e-6]], np.float32))
    assert stored(tmp_path / "a.tif", data.tobytes()).tolist() == [[False, False, False, True]]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_an_id_in_any_colour_is_anomalous(tmp_path: Path, channel: int, kind: type):
    colors = np.zeros((2, 3, 3), kind)
    colors[..., channel] = VALUES
    _, data = cv2.imencode(".png", colors)
    assert np.array_equal(stored(tmp_path / "a.png", data.tobytes()), EXPECTED)


def test_transparent_pixels_are_normal_whatever_their_colour(tmp_path: Path):
    pixels = np.full((1, 4, 4), 255, np.uint8)
    pixels[0, :, 3] = [255, 1, 0, 255]
    pixels[0, 3, :3] = 0
    _, data = cv2.imencode(".png", pixels)
    assert stored(tmp_path / "a.png", data.tobytes()).tolist() == [[True, True, False, False]]
    buffer = BytesIO()
    Image.fromarray(pixels[..., 2:], "LA").save(buffer, "PNG")
    assert stored(tmp_path / "b.png", buffer.getvalue()).tolist() == [[True, True, False, False]]


def palette_image(suffix: str, colors: list[int], indices: np.ndarray, **options: object) -> bytes:
    image, buffer = Image.fromarray(indices.astype(np.uint8)).convert("P"), BytesIO()
    image.putpalette(colors)
    image.save(buffer, {".png": "PNG", ".bmp": "BMP", ".tif": "TIFF"}[suffix], **options)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_of_a_palette_the_index_counts_and_not_its_colour(tmp_path: Path, suffix: str):
    colors = [0, 0, 0, 0, 0, 0, 0, 0, 3]  # index 1 is as black as index 0
    data = palette_image(suffix, colors, VALUES.clip(max=2))
    assert np.array_equal(stored(tmp_path / f"a{suffix}", data), EXPECTED)


@pytest.mark.parametrize("transparency", [1, b"\xff\x00"])
def test_a_palettes_transparent_index_is_normal(tmp_path: Path, transparency: int | bytes):
    data = palette_image(".png", [0, 0, 0, 255, 0, 0, 0, 255, 0], VALUES.clip(max=2), transparency=transparency)
    assert stored(tmp_path / "a.png", data).tolist() == [[False, False, False], [True, False, True]]


def test_a_palette_whose_index_0_is_not_black_gives_a_remark(tmp_path: Path):
    (tmp_path / "1.png").write_bytes(palette_image(".png", [255, 255, 255, 255, 0, 0], VALUES.clip(max=1)))
    masks = MaskFiles("images", str(tmp_path), {1: "1.png"})
    assert np.array_equal(masks.read([1], (3, 2)).at(0), EXPECTED)
    assert masks.remarks == [
        ("1.png", "index 0 of its palette is not black", "index 0 is taken as normal all the same")
    ]


@pytest.mark.parametrize("color", [True, False])
def test_a_jpeg_is_thresholded_with_a_remark_that_is_given_once(tmp_path: Path, color: bool):
    pixels = np.zeros((32, 32), np.uint8)
    pixels[8:16, 8:24] = 255  # whole blocks of a JPEG, so that their values are exact
    ringing = pixels.copy()
    ringing[24:, 24:] = 100
    image = np.dstack([np.zeros_like(ringing), np.zeros_like(ringing), ringing]) if color else ringing
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111])
    (tmp_path / "7.jpg").write_bytes(data.tobytes())
    masks = MaskFiles("images", str(tmp_path), {7: "7.jpg"})
    for _ in range(2):
        assert np.array_equal(masks.read([7], (32, 32)).at(0), pixels > 0)
    assert masks.remarks == [
        ("7.jpg", "a mask with lossy compression", "values above 127 of 255 are taken as anomalous")
    ]


@pytest.mark.parametrize("size", [(100_000, 100_000), (13_000, 13_000)])
def test_an_image_that_claims_a_huge_size_is_refused_before_it_is_decoded(tmp_path: Path, size: tuple[int, int]):
    (tmp_path / "a.png").write_bytes(png_of_size(*size, rows=0))
    with pytest.raises(DataError, match=r"a\.png: .*\d+x\d+ pixels, at most"):
        read_mask_image(tmp_path / "a.png")


def test_special_files_are_refused_and_not_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "nothing.png").symlink_to(tmp_path / "nowhere")
    for name in ("fifo", "zero", "nothing"):
        with pytest.raises(DataError, match=rf"{name}\.png: cannot be read .*(not a regular|No such) file"):
            read_mask_image(tmp_path / f"{name}.png")
    with pytest.raises(DataError, match=r"fifo\.png: not a regular file"):
        load_avenue_masks(tmp_path / "fifo.png")


def test_a_truncated_mask_and_one_of_several_pages_are_refused(tmp_path: Path):
    whole = encoded(".png", image=VALUES.astype(np.uint8))
    (tmp_path / "a.png").write_bytes(whole[:-12])
    with pytest.raises(DataError, match=r"a\.png: .*truncated"):
        read_mask_image(tmp_path / "a.png")
    pages = [Image.fromarray(VALUES.astype(np.uint8)) for _ in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match=r"a\.tif: a mask image has one page, and this one 3"):
        read_mask_image(tmp_path / "a.tif")
