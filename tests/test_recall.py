"""A run's options are typed once: what `run=` and `name=` recall, what may be given anew, and what is refused."""

import re
from pathlib import Path

import pytest
import yaml
from tests.pipeline import run_here
from tests.scored import prepared, write_scores

from pixelplay.cli import load_config
from pixelplay.errors import ConfigError, DamagedArtifactError
from pixelplay.run.files import RunFiles
from pixelplay.run.options import read_options, write_options
from pixelplay.scores import fusion_file

PLAIN = ["pseudo=none", "restore.flip=none", "workers=1"]


@pytest.fixture
def paths(small_run: list[str]) -> list[str]:
    """What a later command is given beside `run=`: folders are not recalled, since they say where to look."""
    return [option for option in small_run if option.startswith(("experiment=", "paths."))]


@pytest.fixture
def started(small_run: list[str], paths: list[str], tmp_path: Path) -> list[str]:
    """The options that name a run whose first command was `prepare`."""
    done = run_here("prepare.py", *small_run, *PLAIN, "run=a", "seed=3", "report.gallery=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return [*paths, "run=a"]


def refusal(options: list[str]) -> str:
    with pytest.raises(ConfigError) as error:
        load_config(options)
    return str(error.value)


def test_options_are_typed_once_and_without_run_nothing_is_recalled(
    started: list[str], small_run: list[str], tmp_path: Path
):
    first, again = load_config([*small_run, *PLAIN, "seed=3"]), load_config(started)
    decisive = {"dataset", "detectors", "weights", "fusion", "seed", "restore", "pseudo", "trainer", "evaluate"}
    assert again.model_dump(include=decisive) == first.model_dump(include=decisive)
    assert (again.seed, again.run, again.dataset.root) == (3, "a", tmp_path / "data")
    assert load_config([*small_run, *PLAIN]).seed == 0
    assert run_here("status.py", *started, cwd=tmp_path).stdout.startswith("prepare   up to date")


def test_the_file_has_the_options_as_typed_and_the_configuration(started: list[str]):
    path = RunFiles.of(load_config(started)).options
    kept = yaml.safe_load(path.read_text())
    assert "seed=3" in kept["options"] and kept["config"]["seed"] == 3 and kept["config"]["run"] == "a"
    free = ("experiment=", "run=", "paths.", "device=", "workers=", "report.")
    assert not [option for option in kept["options"] if option.startswith(free)]


def test_what_decides_no_result_may_be_given_freely_and_is_forgotten(started: list[str]):
    config = load_config([*started, "report.gallery=7", "device=cpu", "workers=2", "ablate.search=true"])
    assert (config.report.gallery, config.workers, config.ablate.search) == (7, 2, True)
    assert load_config(started).report.gallery == 12  # the default


def test_an_option_that_agrees_is_accepted_and_another_is_refused_by_name(started: list[str], small_run: list[str]):
    assert load_config([*small_run, *PLAIN, "run=a"]) == load_config([*started, "device=cpu", "workers=1"])
    assert load_config([*started, "seed=3", "trainer.patience=4"]).seed == 3  # 4 is the default
    message = refusal([*started, "seed=4", "trainer.patience=6", "fusion.method=maximum"])
    file = RunFiles.of(load_config(started)).options
    assert f"seed=4: {file} has seed=3" in message and f"trainer.patience=6: {file} has trainer.patience=4" in message
    assert f"fusion.method=maximum: {file} has fusion.method=weighted_mean" in message
    assert f"run=NAME; to change this one, delete {file} first" in message
    assert f"{file} has detector=[conv_ae_tiny]" in refusal([*started, "detector=[conv_ae_tiny,st_ae_tiny]"])


def test_a_run_may_be_logged_later_and_its_data_set_may_move(started: list[str], tmp_path: Path):
    (tmp_path / "data").rename(tmp_path / "moved")
    moved = f"dataset.root={tmp_path / 'moved'}"
    done = run_here("prepare.py", *started, moved, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert load_config(started).dataset.root == tmp_path / "moved"
    assert load_config([*started, "trainer.loggers=[csv,tensorboard]"]).trainer.loggers == ["csv", "tensorboard"]


def test_the_options_of_a_command_that_could_do_nothing_are_not_kept(
    small_run: list[str], paths: list[str], tmp_path: Path
):
    done = run_here("prepare.py", *small_run, "run=a", "dataset.root=nowhere", cwd=tmp_path)
    assert done.returncode == 1 and "nowhere" in done.stderr
    assert not RunFiles.of(load_config([*paths, "run=a"])).options.exists()


@pytest.mark.parametrize(
    "text", ["options: 3", "[", "!!python/object:os.system {}", "options: [a=1]", "\0", "a: &a [*a]"]
)
def test_a_damaged_file_is_named(text: str, paths: list[str]):
    file = RunFiles.of(load_config([*paths, "run=a"])).options
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(DamagedArtifactError, match=r"config\.yaml is damaged"):
        load_config([*paths, "run=a"])


def test_a_file_that_names_other_folders_is_refused(paths: list[str]):
    file = RunFiles.of(load_config([*paths, "run=a"])).options
    write_options(file, ["paths.outputs=/etc"], {})
    with pytest.raises(DamagedArtifactError, match=r"config\.yaml: paths\.outputs=/etc: "):
        load_config([*paths, "run=a"])


def test_runs_of_a_sweep_are_named_by_their_overrides_and_recalled_by_these_names(small_folder: Path, tmp_path: Path):
    options = ["experiment=folder", f"dataset.root={small_folder}"]
    own = ["dataset.heldout.gap=8", "detector=conv_ae_tiny", "detectors.conv_ae.training.window=4", *PLAIN[:2]]
    done = run_here("prepare.py", "--multirun", *options, *own, "seed=1,2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / "outputs/folder").glob("*/config.yaml"))
    assert len(files) == 2
    for seed, name in enumerate((file.parent.name for file in files), start=1):
        assert f"seed={seed}" in name and not re.search("dataset=|dataset.root|experiment", name)
        recalled = load_config(["experiment=folder", f"paths.outputs={tmp_path / 'outputs'}", f"run={name}"])
        assert (recalled.seed, recalled.dataset.root) == (seed, small_folder)
        assert list(recalled.detectors) == ["conv_ae"]


# --- variants of the fusion -----------------------------------------------------------------------------------------


@pytest.fixture
def scored(small_run: list[str], tmp_path: Path) -> list[str]:
    """The options of the experiment's own run with raw scores and a fusion."""
    config, index = prepared(small_run)
    write_scores(config, index, {"conv_ae": range(8), "conv_ae/mean": range(8)[::-1]})
    options = [*small_run, *PLAIN]
    assert run_here("fuse.py", *options, cwd=tmp_path).returncode == 0
    return options


def test_a_variant_has_the_run_s_options_and_keeps_its_own(scored: list[str], paths: list[str], tmp_path: Path):
    outputs = tmp_path / "outputs/folder"
    before = {path: path.read_bytes() for path in outputs.rglob("*") if path.is_file() and path.suffix != ".lock"}
    submission = (tmp_path / "submissions/folder.csv").read_bytes()
    done = run_here("fuse.py", *paths, "name=w2", "fusion.default.smooth.sigma=2.0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "submissions/folder-w2.csv").read_bytes() != submission
    assert {path: path.read_bytes() for path in before} == before
    assert (tmp_path / "submissions/folder.csv").read_bytes() == submission
    assert (outputs / "fusions/w2/fused.parquet").is_file()
    again = load_config([*paths, "name=w2"])
    assert again.fusion.default.smooth.sigma == 2.0
    assert again.detectors["conv_ae"].training["window"] == 4  # the run's
    assert read_options(RunFiles.of(again).variant_options) == ["fusion.default.smooth.sigma=2.0"]
    assert run_here("fuse.py", *paths, "name=w2", cwd=tmp_path).stdout.startswith("fuse: up to date\n")


def test_a_variant_refuses_another_fusion_and_what_comes_before_it(scored: list[str], paths: list[str], tmp_path: Path):
    run_here("fuse.py", *paths, "name=w2", "fusion.method=maximum", cwd=tmp_path)
    message = refusal([*paths, "name=w2", "fusion.method=product"])
    assert "fusion.method=product: " in message and "fusions/w2/config.yaml has fusion.method=maximum" in message
    assert "name=NAME" in message
    message = refusal([*paths, "name=w3", "trainer.patience=9"])
    assert "trainer.patience=9: " in message and "takes the scores of its run as they are" in message
    assert load_config([*paths, "name=w3"]).fusion.method == "weighted_mean"


def test_a_fusion_file_of_a_variant_takes_the_place_of_the_run_s_fusion(
    small_run: list[str], paths: list[str], tmp_path: Path
):
    files = RunFiles.of(load_config([*paths, "run=a"]))
    write_options(files.options, [*small_run[1:4], "fusion.method=maximum", "+fusion.members.conv_ae.weight=2.0"], {})
    chosen = load_config([*paths, "run=a"]).fusion.model_copy(update={"method": "product", "power": 3.0})
    file = tmp_path / "chosen.yaml"
    file.write_text(fusion_file.to_text(chosen))
    assert load_config([*paths, "run=a", "name=w2", f"fusion_file={file}"]).fusion == chosen
    other = load_config([*paths, "run=a", "name=w2", "fusion.members.conv_ae.weight=3.0"]).fusion  # without its +
    assert (other.method, other.members["conv_ae"].weight) == ("maximum", 3.0)


def test_stages_before_the_fusion_do_the_same_with_the_name_of_a_variant(
    scored: list[str], paths: list[str], tmp_path: Path
):
    options = (tmp_path / "outputs/folder/config.yaml").read_bytes()
    done = run_here("prepare.py", *paths, "name=w2", "fusion.method=maximum", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "prepare: up to date\n"), done.stderr
    assert (tmp_path / "outputs/folder/config.yaml").read_bytes() == options
    assert not (tmp_path / "outputs/folder/fusions").exists()


def test_a_run_that_is_started_with_a_variant_has_its_own_options_alone(
    small_run: list[str], paths: list[str], tmp_path: Path
):
    done = run_here("prepare.py", *small_run, *PLAIN, "run=a", "name=w2", "fusion.method=maximum", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert load_config([*paths, "run=a"]).fusion.method == "weighted_mean"
    kept = yaml.safe_load((tmp_path / "outputs/folder/a/config.yaml").read_text())
    assert (kept["config"]["fusion"]["method"], kept["config"]["name"]) == ("weighted_mean", None)
