"""Footage of more than 8 bits a value: one linear range for the data set, estimated on training frames and kept."""

import csv
import logging
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.footage import GRAY, dataset, encoded, folder_video, picture, write_frames
from tests.odd_images import tiff

from pixelplay.cli import load_config
from pixelplay.errors import ConfigError, DataError
from pixelplay.run.digests import Digests
from pixelplay.stages import prepare
from pixelplay.videos.cache import FrameCache, source_key
from pixelplay.videos.deep_footage import estimate, with_value_range
from pixelplay.videos.image_file import ValueRange
from pixelplay.videos.index import Index
from pixelplay.videos.layouts import read_dataset
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.video import source_from_json


def ramp(low: float, high: float, dtype: type = np.uint16) -> np.ndarray:
    """48 x 64 values from low to high."""
    return np.linspace(low, high, 48 * 64).reshape(48, 64).astype(dtype)


def write(folder: Path, images: list[np.ndarray], suffix: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        data = tiff([image]) if suffix == ".tif" else encoded(suffix, image=image)
        (folder / f"{number:03d}{suffix}").write_bytes(data)


def in_a_range(folder: Path, levels: ValueRange, test: bool = False) -> RawVideo:
    [raw], _ = with_value_range([folder_video(folder)], levels)
    return raw


def decoded(raw: RawVideo, gray: bool = True, color: bool = False) -> list:
    return list(raw.source.read(gray, color))


# --- the range ------------------------------------------------------------------------------------------------------


def test_the_range_is_that_of_all_values_but_the_outermost_thousandth_on_each_side():
    values = np.arange(10_001, dtype=np.uint16)
    assert estimate([values], "f") == pytest.approx((10.0, 9990.0))
    with_dead_pixels = np.concatenate([np.full(9990, 7000), np.arange(7001, 7011), [65535]]).astype(np.uint16)
    assert estimate([with_dead_pixels], "f").high < 65535


def test_values_are_shown_linearly_and_those_beyond_the_range_as_its_ends():
    shown = ValueRange(100, 355).shown(np.array([[0, 100, 101, 228, 355, 60_000]], np.uint16))
    assert (shown.dtype, shown.tolist()) == (np.uint8, [[0, 0, 1, 128, 255, 255]])
    floats = ValueRange(-1.0, 1.0).shown(np.array([np.nan, -np.inf, np.inf, -1, 0, 1], np.float32))
    assert floats.tolist() == [0, 0, 255, 0, 128, 255]


def test_where_nearly_all_is_background_the_extremes_count():
    image = np.zeros(100_000, np.uint16)
    image[::5001] = 500
    assert estimate([image[: 2**16]], "f") == (0.0, 500.0)


@pytest.mark.parametrize(
    "image, found",
    [
        (np.full((4, 4), 7, np.uint16), "have the value 7 throughout"),
        (np.full((4, 4), np.nan, np.float32), "have no finite value"),
    ],
)
def test_training_frames_that_say_nothing_of_a_range_are_refused_with_the_key(image: np.ndarray, found: str):
    with pytest.raises(DataError, match=rf"here: .*{found}.*dataset\.value_range=\[LOW,HIGH\]"):
        estimate([image], "here")


# --- frames ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiffs_of_every_type_are_shown_by_the_range_in_grey_and_in_colour(tmp_path: Path, dtype: type, order: str):
    (tmp_path / "0.tif").write_bytes(tiff([ramp(7000, 9000, dtype)], order))
    [frame] = decoded(in_a_range(tmp_path, ValueRange(7000, 9000)), color=True)
    assert frame.problem is None and frame.remark is None
    expected = np.rint((ramp(7000, 9000, dtype).astype(float) - 7000) * 255 / 2000)
    assert np.array_equal(frame.gray, expected)
    assert np.array_equal(frame.color, np.dstack([expected] * 3))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm", ".jp2"])
def test_16_bit_images_keep_more_than_their_top_byte(tmp_path: Path, suffix: str):
    write(tmp_path, [ramp(7000, 7255)], suffix)  # the top byte is 27 or 28 in all of it
    [frame] = decoded(in_a_range(tmp_path, ValueRange(7000, 7255)))
    assert len(np.unique(frame.gray)) == 256


def test_16_bit_colour_is_rgb_and_its_grey_is_that_of_the_shown_colours(tmp_path: Path):
    image = np.dstack([ramp(0, 65535), ramp(65535, 0), np.full((48, 64), 257, np.uint16)])
    write(tmp_path, [image])
    [frame] = decoded(in_a_range(tmp_path, ValueRange(0, 65535)), color=True)
    assert np.array_equal(frame.color, np.rint(image.astype(float) / 257))
    assert np.array_equal(frame.gray, cv2.cvtColor(frame.color, cv2.COLOR_RGB2GRAY))


def test_values_that_are_not_finite_are_counted_in_a_remark(tmp_path: Path):
    image = ramp(0, 100, np.float32)
    image[0, :3] = [np.nan, np.inf, -np.inf]
    write(tmp_path / "01", [ramp(0, 100, np.float32), image], ".tif")
    [one] = FrameCache(tmp_path / "cache").fill([in_a_range(tmp_path / "01", ValueRange(0, 100))], [GRAY], 0.0, 1)
    assert [(p.number, p.name, p.problem, p.treatment) for p in one.problems] == [
        (1, "001.tif", "3 values are NaN or infinite", "NaN shown as 0, infinity as 255")
    ]
    assert decoded(in_a_range(tmp_path / "01", ValueRange(0, 100)))[1].gray[0, :3].tolist() == [0, 255, 0]


def test_8_bit_frames_among_deeper_ones_are_used_as_they_are_and_listed(tmp_path: Path):
    write(tmp_path, [ramp(0, 65535), picture(1)[..., 0]])
    deep, plain = decoded(in_a_range(tmp_path, ValueRange(0, 65535)))
    assert deep.remark is None
    assert plain.remark == ("8 bits a value among frames of more", "its values are used as they are")
    assert np.array_equal(plain.gray, picture(1)[..., 0])


def test_without_deep_training_frames_deep_test_frames_are_unreadable_and_say_why(tmp_path: Path):
    write_frames(tmp_path / "train", range(3))
    write(tmp_path / "test", [ramp(7000, 9000)])
    videos = [folder_video(tmp_path / "train"), folder_video(tmp_path / "test", "test")]
    same, levels = with_value_range(videos, None)
    assert (same, levels) == (videos, None)
    [frame] = decoded(same[1])
    assert frame.gray is None
    assert frame.problem.startswith("more than 8 bits a value, and no range of values is known")


# --- the data set ---------------------------------------------------------------------------------------------------


def test_the_range_comes_from_training_footage_alone_and_is_the_same_in_all_videos(tmp_path: Path):
    write(tmp_path / "train/a", [ramp(7000, 8000)] * 3)
    write(tmp_path / "train/b", [ramp(8000, 9000)] * 3)
    write(tmp_path / "test/c", [ramp(6000, 60_000)] * 3)
    videos, levels = with_value_range(read_dataset(dataset("folder", tmp_path)), None)
    assert levels == pytest.approx((7002, 8998), abs=2)
    assert [raw.source.levels for raw in videos] == [levels] * 3
    assert decoded(videos[2])[0].gray.max() == 255


def test_the_range_travels_with_the_source_and_is_part_of_the_key_of_cached_arrays(tmp_path: Path):
    write(tmp_path / "01", [ramp(7000, 9000)] * 2)
    keys = set()
    for levels in (ValueRange(7000, 9000), ValueRange(7000, 9001)):
        raw = in_a_range(tmp_path / "01", levels)
        keys.add(source_key(raw, Digests(tmp_path / "digests")))
        again = source_from_json(asdict(raw.source))
        assert again.levels == levels
        [one] = FrameCache(tmp_path / "cache").fill([raw], [GRAY], 0.0, 1)
        expected = levels.shown(ramp(7000, 9000))
        assert np.array_equal(one.video.frames(GRAY)[0], cv2.resize(expected, (16, 12), interpolation=cv2.INTER_AREA))
        assert np.array_equal(next(one.video.full_size()), np.dstack([expected] * 3))
    assert len(keys) == 2


def test_8_bit_footage_has_no_range_and_keeps_its_key(tmp_path: Path):
    write_frames(tmp_path / "01", range(3))
    [raw], levels = with_value_range([folder_video(tmp_path / "01")], [0.0, 100.0])
    assert levels is None
    digests = Digests(tmp_path / "digests")
    assert source_key(raw, digests) == source_key(folder_video(tmp_path / "01"), digests)
    assert [np.array_equal(f.color, picture(t)) for t, f in enumerate(decoded(raw, color=True))] == [True] * 3


def thermal_run(small_run: list[str], small_folder: Path, low: float, high: float) -> list[str]:
    for path in small_folder.glob("t*/*/*.png"):
        path.write_bytes(encoded(".png", image=ramp(low, high)))
    return small_run


def problems(tmp_path: Path) -> list[dict[str, str]]:
    with open(tmp_path / "outputs/folder/frame_problems.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_prepare_shows_stores_and_lists_the_range(
    small_run: list[str], small_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    overrides = thermal_run(small_run, small_folder, 7000, 9000)
    config = load_config(overrides)
    with caplog.at_level(logging.INFO):
        prepare.run(config)
    index = Index.load(tmp_path / "outputs/folder/index.json")
    levels = index.test[0].originals.source.levels
    assert levels == pytest.approx((7002, 8998), abs=1)
    found = f"images of more than 8 bits: values {levels.low:g} to {levels.high:g} are shown as 0 to 255"
    assert f"prepare: {found}" in caplog.text
    assert problems(tmp_path)[0] == {
        "split": "train",
        "video": "",
        "number": "-1",
        "name": "all videos",
        "problem": found,
        "treatment": "one linear range, of training frames or dataset.value_range",
    }
    assert prepare.pending(config) is None
    fixed = load_config([*overrides, "dataset.value_range=[0,10000]"])
    assert prepare.pending(fixed) is not None
    prepare.run(fixed)
    assert Index.load(tmp_path / "outputs/folder/index.json").test[0].originals.source.levels == (0, 10000)


@pytest.mark.parametrize("value", ["[5,5]", "[9,1]", "[1]", "[1,2,3]", "[0,.inf]"])
def test_a_range_that_is_none_is_refused(small_run: list[str], value: str):
    with pytest.raises(ConfigError, match=r"value_range"):
        load_config([*small_run, f"dataset.value_range={value}"])
