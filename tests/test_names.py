"""Names of videos: odd ones work through every stage, and impossible ones are refused before anything is decoded."""

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from tests.footage import GeneratedSource, write_frames

from pixelplay.cli import load_config
from pixelplay.errors import DataError, PixelPlayError
from pixelplay.run.files import RunFiles
from pixelplay.scores import submission
from pixelplay.stages import ablate, evaluate, events, explain, fuse, prepare, report, score, train
from pixelplay.videos.layouts.raw import RawVideo


def refused(overrides: list[str], tmp_path: Path) -> str:
    """The message with which `prepare` refuses a run before it decodes anything."""
    with pytest.raises(PixelPlayError) as error:
        prepare.run(load_config(overrides))
    assert not list((tmp_path / "cache").rglob("*.npy"))
    return str(error.value)


def test_a_name_that_is_not_utf_8_is_refused_by_prepare(small_run: list[str], small_folder: Path, tmp_path: Path):
    os.rename(small_folder / "train/03", os.fsencode(small_folder) + b"/train/caf\xe9")
    place = rf"{small_folder}/train/caf\xe9"
    what = r"the name is not UTF-8 (\x stands for a byte that is not); rename it"
    assert refused(small_run, tmp_path) == f"{place}: {what}"


def test_test_videos_of_the_same_ids_are_refused_by_prepare(small_run: list[str], small_folder: Path, tmp_path: Path):
    write_frames(small_folder / "test/1", range(3))
    message = refused(small_run, tmp_path)
    assert "'01' and '1' give the same id 1_0" in message or "'1' and '01' give the same id 1_0" in message


def test_a_submissions_folder_that_can_not_be_written_is_refused_by_prepare(small_run: list[str], tmp_path: Path):
    (tmp_path / "submissions").write_text("a file")
    assert "name another folder with paths.submissions=FOLDER" in refused(small_run, tmp_path)


def test_training_videos_may_differ_by_zeros_alone():
    submission.check_names(["1", "01", "a", "b"], ["a", "b"])
    with pytest.raises(DataError, match="'1' and '01' give the same id"):
        submission.check_names(["1", "01"], ["1", "01"])


@dataclass(frozen=True)
class Numbered(GeneratedSource):
    numbers: tuple[int, ...] = ()


@pytest.mark.parametrize("largest", [2**63 - 1, 2**63, 10**22])
def test_frame_numbers_beyond_int64_are_refused_before_decoding(small_run: list[str], tmp_path: Path, largest: int):
    files = RunFiles.of(load_config(small_run))
    videos = [RawVideo("a", "test", Numbered(tmp_path / "a", 2, numbers=(5, largest)))]
    if largest < 2**63:
        prepare.require_submittable(files, videos)
        return
    with pytest.raises(DataError, match=f"test video 'a': frame number {largest} is above 9223372036854775807"):
        prepare.require_submittable(files, videos)


ODD = ["NA", "nan", "None", "null", "001", "1.0", "True", "-inf"]


def test_videos_called_like_missing_values_go_through_every_stage(tmp_path: Path):
    root = tmp_path / "data"
    for i, name in enumerate(ODD):
        write_frames(root / "train" / name, range(24), seed=i)
        write_frames(root / "test" / name, range(18), seed=20 + i)
    (root / "test_labels").mkdir()
    for name in ODD:
        rows = "".join(f"{n},{int(n > 8)}\n" for n in range(18))
        (root / "test_labels" / f"{name}.csv").write_text("frame,label\n" + rows)
    paths = [f"paths.{name}={tmp_path / name}" for name in ("outputs", "checkpoints", "submissions", "cache")]
    run = ["experiment=folder", f"dataset.root={root}", "detector=[conv_ae_tiny]", "device=cpu", "workers=1", *paths]
    odd = [
        "pseudo=tiny",
        "restore.flip=background",
        "fusion.corrupted_frames.weight=0.5",
        "trainer.max_epochs=1",
        "report.clips=['NA']",
    ]
    config = load_config([*run, *odd])
    for stage in (prepare, train, score, fuse, events, evaluate, ablate, explain, report):
        stage.run(config)
    files = RunFiles.of(config)
    fused = pd.read_parquet(files.fused).query("split == 'test' and stream == 'fused'")
    assert fused.groupby("video").size().to_dict() == dict.fromkeys(ODD, 18)
    ids = [submission.submission_id(name, n) for name in sorted(ODD) for n in range(18)]
    rows = submission.expected_ids_from_sample(files.submission)
    assert sorted(rows) == sorted(ids)
    assert files.clip("NA").is_file()
