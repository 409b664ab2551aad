"""`submit`: what is checked, that nothing is sent unasked, and what a small stand-in for Kaggle's command is told."""

import json
import os
import sys
from pathlib import Path

import pytest
from tests.pipeline import ROOT, run, user_environment
from tests.scored import prepared, write_scores

from pixelplay.config import Config
from pixelplay.errors import ConfigError, DamagedArtifactError, DataError, MissingArtifactError, PixelPlayError
from pixelplay.run.files import RunFiles
from pixelplay.stages import fuse, submit

SEND = ["submit.send=true", "submit.competition=pixel-play-26"]
ANSWER = "Successfully submitted to Pixel Play '26"


class Kaggle:
    """A `kaggle` on the PATH that notes what it is told and answers as it is bidden."""

    def __init__(self, folder: Path, answer: str = ANSWER, status: int = 0):
        self._calls = folder / "calls.jsonl"
        folder.mkdir(exist_ok=True)
        script = folder / "kaggle"
        script.write_text(
            f"#!{sys.executable}\n"
            "import json, sys\n"
            f"open({str(self._calls)!r}, 'a').write(json.dumps(sys.argv[1:]) + '\\n')\n"
            f"print({answer!r})\n"
            f"sys.exit({status})\n"
        )
        script.chmod(0o755)

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self._calls.read_text().splitlines()] if self._calls.exists() else []


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials, no command of the machine that the tests run on, no configuration of its user."""
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_CONFIG_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "none"))


@pytest.fixture
def logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
    monkeypatch.setenv("KAGGLE_KEY", "0" * 32)


def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **answer: object) -> Kaggle:
    kaggle = Kaggle(tmp_path / "bin", **answer)  # type: ignore[arg-type]
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return kaggle


def fused(small_run: list[str], *overrides: str) -> Config:
    config, index = prepared([*small_run, *overrides])
    write_scores(config, index, {"conv_ae": [0.0, 1, 2, 3, 8, 4, 4, 4]})
    fuse.run(config)
    return config


def test_it_checks_and_sends_nothing_unasked(
    small_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged_in: None, caplog
):
    caplog.set_level("INFO")
    kaggle = installed(tmp_path, monkeypatch)
    submit.run(fused(small_run, "submit.competition=pixel-play-26"))
    assert "folder.csv is valid: 8 rows" in caplog.text
    assert "not sent; submit.send=true sends it" in caplog.text
    assert kaggle.calls == []


def test_it_hands_file_competition_and_message_to_kaggle_as_they_are(
    small_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged_in: None, caplog
):
    caplog.set_level("INFO")
    kaggle = installed(tmp_path, monkeypatch)
    message = "two words; $(touch touched) \"quoted\" 'too'"
    config = fused(small_run, *SEND)
    submit.run(config.model_copy(update={"submit": config.submit.model_copy(update={"message": message})}))
    file = str(RunFiles.of(config).submission.resolve())
    assert kaggle.calls == [["competitions", "submit", "-c", "pixel-play-26", "-f", file, "-m", message]]
    assert ANSWER in caplog.text


def test_the_default_message_names_the_run_and_changes_with_its_fusion(
    small_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged_in: None
):
    kaggle = installed(tmp_path, monkeypatch)
    for overrides in ([], [], ["fusion.default.smooth.sigma=2.0"]):
        submit.run(fused(small_run, "run=first", *SEND, *overrides))
    first, again, other = (call[-1] for call in kaggle.calls)
    assert first.startswith("folder/first ")
    assert first == again != other


# --- what must be right before anything is sent ---------------------------------------------------------------------


def test_a_submission_that_was_changed_since_it_was_written_is_not_sent(small_run: list[str]):
    config = fused(small_run, *SEND)
    path = RunFiles.of(config).submission
    path.write_text(path.read_text().replace("1_6,", "1_7,"))
    with pytest.raises(DamagedArtifactError, match=r"folder\.csv is damaged .*other contents.*src/fuse\.py"):
        submit.run(config)
    fuse.run(config)
    assert "1_6," in path.read_text()


@pytest.mark.parametrize("place", ["data", "."])
def test_the_data_set_s_sample_submission_is_found_beside_and_above_its_videos(
    small_run: list[str], tmp_path: Path, place: str, caplog
):
    caplog.set_level("INFO")
    config = fused(small_run, f"dataset.root={tmp_path / place}")
    sample = tmp_path / place / "sample_submission.csv"
    sample.write_text(RunFiles.of(config).submission.read_text())
    submit.run(config)
    assert f"8 rows, as {sample} wants them" in caplog.text
    sample.write_text(sample.read_text() + "3_0,0\n")
    with pytest.raises(DataError, match=r"1 id \(3_0\) missing"):
        submit.run(config)


def test_a_sample_submission_above_the_named_folder_is_none_of_its_own(small_run: list[str], tmp_path: Path):
    (tmp_path / "sample_submission.csv").write_text("Id,Predicted\n3_0,0\n")
    submit.run(fused(small_run))


@pytest.mark.parametrize("mount", ["pixel-play-26", "competitions/pixel-play-26"])
def test_above_a_folder_inside_the_competition_its_sample_is_found_where_kaggle_mounts_it(
    small_run: list[str], tmp_path: Path, mount: str, caplog
):
    caplog.set_level("INFO")
    inside = tmp_path / "input" / mount / "Avenue_Corrupted/Dataset"
    inside.parent.mkdir(parents=True)
    (tmp_path / "data").rename(inside)
    (tmp_path / "input/sample_submission.csv").write_text("Id,Predicted\n3_0,0\n")  # another's
    config = fused(small_run, f"dataset.root={inside}", "submit.competition=pixel-play-26")
    submit.run(config)
    assert "8 rows, as " + str(RunFiles.of(config).index) in caplog.text
    sample = tmp_path / "input" / mount / "sample_submission.csv"
    sample.write_text(RunFiles.of(config).submission.read_text())
    submit.run(config)
    assert f"8 rows, as {sample} wants them" in caplog.text


def test_a_named_sample_submission_is_taken(small_run: list[str], tmp_path: Path):
    (tmp_path / "mine.csv").write_text("Id,Predicted\n3_0,0\n")
    with pytest.raises(DataError, match=r"1 id \(3_0\) missing"):
        submit.run(fused(small_run, f"submit.sample={tmp_path}/mine.csv"))


def test_a_submission_of_other_settings_is_not_sent(small_run: list[str]):
    config = fused(small_run, *SEND)
    other = config.model_copy(update={"fusion": config.fusion.model_copy(update={"method": "maximum"})})
    with pytest.raises(MissingArtifactError, match=r"fusion\.method changed; .*these settings: .*src/fuse\.py"):
        submit.run(other)


def test_without_a_competition_it_asks_which(small_run: list[str]):
    with pytest.raises(ConfigError, match=r"submit\.competition: which one\?"):
        submit.run(fused(small_run, "submit.send=true"))


def test_without_kaggle_s_command_it_says_how_to_get_it(small_run: list[str], logged_in: None):
    with pytest.raises(PixelPlayError, match="not installed: pip install kaggle"):
        submit.run(fused(small_run, *SEND))


def test_without_credentials_it_says_where_they_belong_and_calls_nobody(
    small_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kaggle, config = installed(tmp_path, monkeypatch), fused(small_run, *SEND)
    for partly in ({}, {"KAGGLE_USERNAME": "somebody"}, {"KAGGLE_KEY": "0"}):
        with monkeypatch.context() as patch:
            for name, value in partly.items():
                patch.setenv(name, value)
            with pytest.raises(PixelPlayError, match=r"no Kaggle credentials: put the kaggle\.json .* ~/\.kaggle/"):
                submit.run(config)
    assert kaggle.calls == []


def test_credentials_are_found_wherever_kaggle_s_command_takes_them_from(
    small_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kaggle, config = installed(tmp_path, monkeypatch), fused(small_run, *SEND)
    monkeypatch.chdir(tmp_path)
    files = ["home/.kaggle/kaggle.json", "home/.kaggle/access_token", "home/.config/kaggle/kaggle.json"]
    places: list[tuple[dict[str, str], str | None]] = [({}, file) for file in files]
    places += [({"KAGGLE_CONFIG_DIR": "elsewhere"}, "elsewhere/kaggle.json"), ({"KAGGLE_API_TOKEN": "0"}, None)]
    for sent, (variables, file) in enumerate(places, start=1):
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            if file:
                (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / file).write_text("{}")
            submit.run(config)
            if file:
                (tmp_path / file).unlink()
        assert len(kaggle.calls) == sent


def test_what_kaggle_does_not_confirm_is_an_error_with_its_own_words(
    small_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged_in: None
):
    config = fused(small_run, *SEND)
    for answer, status, told in (
        ("403 - Forbidden", 1, "kaggle ended with status 1"),
        ("Could not find competition", 0, "Could not find competition"),
        ("", 0, "it said nothing"),
        (ANSWER, 3, "kaggle ended with status 3"),
    ):
        installed(tmp_path, monkeypatch, answer=answer, status=status)
        with pytest.raises(PixelPlayError, match=r"was not accepted by pixel-play-26") as error:
            submit.run(config)
        assert told in str(error.value) and answer in str(error.value)


def test_the_competition_of_the_experiment_is_the_one_of_its_data(tmp_path: Path):
    from pixelplay.cli import load_config

    config = load_config(["experiment=pixelplay26"])
    assert config.submit.competition == "pixel-play-26"
    for mount in ("", "competitions/"):
        assert f"/kaggle/input/{mount}{config.submit.competition}" in config.dataset.candidates
    assert not config.submit.send


def test_the_command_ends_with_its_message_and_status_1_where_nothing_was_run(small_run: list[str], tmp_path: Path):
    environment = user_environment() | {"PYTHONPATH": os.fspath(ROOT / "src")}
    done = run(sys.executable, ROOT / "src/submit.py", *small_run, cwd=tmp_path, env=environment)
    assert done.returncode == 1
    told = " ".join(done.stderr.split())  # lines are broken where they get too long, which depends on the folder
    assert told.startswith("error: ") and f"run `python {ROOT}/src/prepare.py`" in told
    assert "Traceback" not in told
