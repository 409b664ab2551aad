"""The stage `fuse` on raw scores of known values: external files, corrupted frames, a fusion from a file."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.scored import prepared, record_again, record_scores, write_scores

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.errors import ConfigError, DamagedArtifactError, DataError, MissingArtifactError
from pixelplay.run.files import RunFiles
from pixelplay.scores import fusion_file
from pixelplay.stages import fuse, prepare
from pixelplay.videos.video import Video

IDS = ["1_5", "1_6", "1_8", "1_9", "1_12", "2_0", "2_1", "2_2"]
RAW = [0.0, 1.0, 2.0, 3.0, 8.0, 4.0, 4.0, 4.0]
PLAIN = ["fusion.default.smooth.method=none"]
MINMAX = ["fusion.default.normalise.method=minmax", "fusion.external_default.normalise.method=minmax"]

Run = Callable[..., Config]


@pytest.fixture
def run(small_run: list[str]) -> Run:
    """Configuration of the scored run with further overrides."""
    config, index = prepared(small_run)
    write_scores(config, index, {"conv_ae": RAW, "conv_ae/mean": RAW[::-1]})

    def configured(*overrides: str) -> Config:
        return load_config([*small_run, "pseudo=none", "restore.flip=none", "workers=1", *overrides])

    return configured


def external(folder: Path, values: list[float], name: str = "old.csv") -> Path:
    path = folder / name
    rows = [f"{identity},{value}" for identity, value in zip(IDS, values, strict=True)]
    path.write_text("\n".join(["Id,Predicted", *rows[::-1]]) + "\n")
    return path


def submitted(config: Config) -> list[float]:
    table = pd.read_csv(RunFiles.of(config).submission)
    assert table["Id"].tolist() == IDS
    return table["Predicted"].tolist()


def fused_table(config: Config) -> pd.DataFrame:
    return pd.read_parquet(RunFiles.of(config).fused)


def test_an_external_file_joins_like_a_detector_under_its_stem_whatever_the_order_of_its_rows(run: Run, tmp_path: Path):
    path = external(tmp_path, [8.0, 0, 0, 0, 0, 4, 0, 0])
    config = run(*PLAIN, *MINMAX, f"fusion.external=[{path}]")
    fuse.run(config)
    expected = [(a / 8 + b / 8) / 2 for a, b in zip(RAW, [8.0, 0, 0, 0, 0, 4, 0, 0], strict=True)]
    assert submitted(config) == pytest.approx(expected)
    assert set(fused_table(config)["stream"]) == {"conv_ae", "conv_ae/mean", "old", "fused"}


def test_an_external_member_has_its_own_entry_and_its_own_weight(run: Run, tmp_path: Path):
    path = external(tmp_path, [8.0, 0, 0, 0, 0, 4, 0, 0])
    config = run(
        *PLAIN, *MINMAX, f"fusion.external=[{path}]", "+fusion.members.old={weight:3.0,normalise:{method:none}}"
    )
    fuse.run(config)
    expected = [(a / 8 + 3 * b) / 4 for a, b in zip(RAW, [8.0, 0, 0, 0, 0, 4, 0, 0], strict=True)]
    assert submitted(config) == pytest.approx(expected)


def test_without_any_setting_external_scores_join_calibrated_ones(run: Run, tmp_path: Path):
    config = run(f"fusion.external=[{external(tmp_path, RAW)}]")
    fuse.run(config)
    assert len(submitted(config)) == 8


def test_calibrating_an_external_member_is_refused_with_the_methods_that_work(run: Run, tmp_path: Path):
    path = external(tmp_path, RAW)
    config = run(f"fusion.external=[{path}]", "+fusion.members.old.normalise.method=calibrated")
    with pytest.raises(DataError, match=r"external files, choose one of none, minmax, percentile, rank, robust_z"):
        fuse.run(config)


def test_external_scores_leave_held_out_frames_unfused_and_that_is_said(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    config = run()
    fuse.run(config)
    assert set(fused_table(config).query("stream == 'fused'")["split"]) == {"test", "calibration"}
    assert "no fused scores" not in caplog.text
    config = run(f"fusion.external=[{external(tmp_path, RAW)}]")
    fuse.run(config)
    table = fused_table(config)
    assert set(table.query("stream == 'fused'")["split"]) == {"test"}
    assert set(table.query("stream == 'conv_ae'")["split"]) == {"test", "calibration"}
    assert "fuse: no fused scores of split=calibration, which old has not" in caplog.text


def test_an_external_file_of_other_frames_is_refused_with_its_name_the_count_and_the_first(run: Run, tmp_path: Path):
    path = external(tmp_path, RAW)
    path.write_text(path.read_text().replace("2_1,", "7_1,").replace("1_5,", "7_2,"))
    with pytest.raises(DataError) as error:
        fuse.run(run(f"fusion.external=[{path}]"))
    expected = f"{path} does not fit the 8 test frames: 2 ids (7_1, 7_2) not expected; 2 ids (1_5, 2_1) missing"
    assert str(error.value) == expected


def test_only_changed_contents_of_external_files_make_the_stage_run_again(run: Run, tmp_path: Path):
    path = external(tmp_path, RAW)
    config = run(*PLAIN, *MINMAX, f"fusion.external=[{path}]")
    assert fuse.pending(config)
    fuse.run(config)
    before = submitted(config)
    path.touch()
    assert fuse.pending(config) is None
    external(tmp_path, RAW[::-1])
    assert fuse.pending(config) == "fuse: external changed on disk"
    fuse.run(config)
    assert submitted(config) != before
    (tmp_path / "elsewhere").mkdir()
    moved = path.rename(tmp_path / "elsewhere/old.csv")
    assert fuse.pending(run(*PLAIN, *MINMAX, f"fusion.external=[{moved}]")) is None


def test_planted_anomalies_are_fused_and_new_ones_make_the_stage_run_again_but_change_nothing_else(run: Run):
    config = run(*PLAIN, *MINMAX, "fusion.select_members=false")
    fuse.run(config)
    index, before = prepare.load_index(config), fused_table(config)
    files = RunFiles.of(config)
    raw = pd.read_parquet(files.scores("conv_ae"))
    clips = [
        pd.DataFrame({"split": "pseudo", "video": "01", "frame": range(3), "stream": stream}).assign(
            score=np.array([1.0, 2.0, 5.0], np.float32)
        )
        for stream in raw["stream"].unique()
    ]
    pd.concat(clips, ignore_index=True).to_parquet(files.scores("conv_ae", pseudo=True), index=False)
    clip = Video("01", "pseudo", np.arange(3), index.test[0].size, Path("none"))
    index = replace(index, pseudo=[clip], pseudo_key="planted")
    index.save(files.index)
    record_again(prepare.task(config))
    assert fuse.pending(config) == "fuse: score-conv_ae-pseudo: not done yet"
    record_scores(config, index, "conv_ae")
    assert fuse.pending(config) == "fuse: score-conv_ae-pseudo was done again"
    fuse.run(config)
    after = fused_table(config)
    assert after.query("split == 'pseudo' and stream == 'fused'")["score"].tolist() == [0.0, 0.25, 1.0]
    rest = after[after["split"] != "pseudo"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, before)


# --- corrupted frames -----------------------------------------------------------------------------------------------


def corrupt(config: Config, video: str, frame: int, noise: float, flipped: int) -> None:
    path = RunFiles.of(config).restoration
    table = pd.read_csv(path, dtype={"video": str}).assign(noise_level=0.0)
    table.loc[(table["video"] == video) & (table["frame"] == frame), ["noise_level", "flipped"]] = noise, flipped
    table.to_csv(path, index=False)
    record_again(prepare.task(config))


AVERAGED = [
    "fusion.default.normalise.method=none",
    "fusion.default.smooth.method=moving_average",
    "fusion.default.smooth.window=3",
]


@pytest.mark.parametrize(("noise", "flipped"), [(30.0, 0), (0.0, 1)])
def test_a_corrupted_frame_is_filled_from_its_neighbours(run: Run, noise: float, flipped: int):
    config = run(*AVERAGED, "fusion.corrupted_frames.weight=0.0")
    corrupt(config, "01", 9, noise, flipped)
    fuse.run(config)
    # Frames 5 6 8 9 12: 8 has 9 beside it, which no longer counts, and 9 is what 8 is; 12 is alone.
    assert submitted(config) == [0.5, 0.5, 2.0, 2.0, 8.0, 4.0, 4.0, 4.0]
    held = fused_table(config).query("split == 'calibration' and stream == 'fused'")["score"]
    assert held.iloc[0] == 0.5  # the mean of 0 and 1, as ever


def test_corrupted_frames_count_fully_by_default(run: Run):
    config = run(*AVERAGED)
    corrupt(config, "01", 9, 30.0, 1)
    fuse.run(config)
    assert submitted(config) == [0.5, 0.5, 2.5, 2.5, 8.0, 4.0, 4.0, 4.0]


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "is damaged"), (b"video,frame\n", "is damaged .its columns are video, frame")]
)
def test_a_damaged_table_of_corrupted_frames_is_told_with_what_to_do(run: Run, content: bytes, message: str):
    config = run("fusion.corrupted_frames.weight=0.5")
    RunFiles.of(config).restoration.write_bytes(content)
    with pytest.raises(DamagedArtifactError, match=r"restoration\.csv is damaged .has other contents.*prepare\.py"):
        fuse.run(config)
    record_again(prepare.task(config))  # as if `prepare` had written it so
    with pytest.raises(DamagedArtifactError, match=rf"restoration\.csv {message}.*run .*prepare\.py"):
        fuse.run(config)


def test_a_missing_table_of_corrupted_frames_is_told_with_what_to_do(run: Run):
    config = run("fusion.corrupted_frames.weight=0.5")
    RunFiles.of(config).restoration.unlink()
    with pytest.raises(MissingArtifactError, match=r"restoration\.csv is missing: run `python src/prepare\.py`"):
        fuse.run(config)


# --- a fusion from a file -------------------------------------------------------------------------------------------


def test_a_fusion_from_a_file_is_the_fusion_and_its_content_counts_not_its_name(run: Run, tmp_path: Path):
    wanted = run("+fusion.members={conv_ae/mean:{weight:1.0}}", "fusion.method=rank_mean")
    fuse.run(wanted)
    expected = submitted(wanted)
    fuse.run(run())
    assert submitted(wanted) != expected
    for name in ("best.yaml", "same.yaml"):
        (tmp_path / name).write_text(fusion_file.to_text(wanted.fusion))
    config = run(f"fusion_file={tmp_path}/best.yaml")
    assert fuse.pending(config)
    fuse.run(config)
    assert submitted(config) == expected
    assert fuse.pending(run(f"fusion_file={tmp_path}/same.yaml")) is None
    text = (tmp_path / "best.yaml").read_text()
    (tmp_path / "best.yaml").write_text(text.replace("method: rank_mean", "method: maximum"))
    assert fuse.pending(run(f"fusion_file={tmp_path}/best.yaml"))


def test_a_member_that_nothing_gives_is_refused_with_a_suggestion_before_any_work(run: Run):
    config = run("+fusion.members={conv_ea:{weight:5.0}}")
    for stage in (fuse, prepare):
        with pytest.raises(ConfigError, match=r"fusion\.members\.conv_ea: .*did you mean 'conv_ae'\?"):
            stage.run(config)


def test_a_known_member_of_another_run_is_left_out_and_told(run: Run, caplog: pytest.LogCaptureFixture):
    fuse.run(run())
    before = fused_table(run())
    with caplog.at_level("INFO"):
        fuse.run(run("+fusion.members={st_ae:{weight:5.0}}"))
    assert "fuse: without st_ae: no detector of this run gives them" in caplog.text
    pd.testing.assert_frame_equal(fused_table(run()), before)


def test_a_member_is_processed_as_it_says(run: Run):
    config = run("+fusion.members={conv_ae/mean:{normalise:{method:minmax},smooth:{method:none}}}")
    fuse.run(config)
    assert submitted(config) == pytest.approx([score / 8 for score in RAW[::-1]])
