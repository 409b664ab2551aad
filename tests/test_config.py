"""Configuration: every experiment composes, and what is wrong is refused with what is allowed instead."""

import re
from pathlib import Path

import pytest
import torch
from tests.pipeline import ROOT, run_here

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.errors import ConfigError, PixelPlayError
from pixelplay.mining import files
from pixelplay.settings import CONFIG_DIR
from pixelplay.stages import prepare as prepare_stage

EXPERIMENTS = sorted(path.stem for path in (CONFIG_DIR / "experiment").glob("*.yaml"))


def refusal(*overrides: str) -> str:
    with pytest.raises(ConfigError) as error:
        load_config(list(overrides))
    return str(error.value)


def test_the_experiments_of_the_readme_are_there():
    assert {"sample", "tiny", "pixelplay26", "avenue", "ped2", "shanghaitech", "folder"} <= set(EXPERIMENTS)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_is_valid_and_bears_its_name(experiment: str):
    config = load_config([f"experiment={experiment}"])
    assert isinstance(config, Config)
    assert config.experiment == experiment
    registry.check_settings(load_config([f"experiment={experiment}", "weights=in_domain"]).detectors)


@pytest.mark.parametrize("experiment", ["pixelplay26", "avenue", "ped2", "shanghaitech"])
def test_published_data_sets_take_weights_from_the_hub_unless_told_otherwise(experiment: str):
    assert load_config([f"experiment={experiment}"]).weights.source == "hub"
    assert load_config([f"experiment={experiment}", "weights=in_domain"]).weights.source == "in_domain"


@pytest.mark.parametrize("experiment", ["sample", "tiny", "folder"])
def test_the_other_data_sets_need_no_pretrained_weights(experiment: str):
    assert load_config([f"experiment={experiment}"]).weights.source == "in_domain"


@pytest.mark.parametrize("group", sorted(path.name for path in CONFIG_DIR.iterdir() if path.is_dir()))
def test_every_file_of_every_group_can_be_chosen(group: str):
    for path in (CONFIG_DIR / group).glob("*.yaml"):
        choice = f"[{path.stem}]" if group == "detector" else path.stem
        assert isinstance(load_config([f"{group}={choice}"]), Config), path.name


def test_command_line_values_win_over_files():
    config = load_config(["experiment=ped2", "trainer.max_epochs=7", "dataset.root=some/where", "device=cuda:1"])
    assert (config.trainer.max_epochs, config.dataset.root, config.device) == (7, Path("some/where"), "cuda:1")


@pytest.mark.parametrize(
    "override, meant, allowed",
    [
        ("sede=3", "seed", "paths"),
        ("trainer.max_epoch=3", "max_epochs", "batch_size"),
        ("dataset.heldout.shares=0.1", "share", "min_videos"),
        ("paths.output=x", "outputs", "submissions"),
        ("detectors.conv_ae.trainin.window=8", "training", "algorithm"),
        ("fusion.default.smooth.sigmas=1", "sigma", "window"),
        ("experimemt=ped2", "experiment", "dataset"),
    ],
)
def test_a_misspelt_key_is_refused_with_what_was_meant_and_what_is_allowed(override: str, meant: str, allowed: str):
    message = refusal(override)
    assert message.startswith(override.split("=")[0] + ": unknown key")
    assert f"did you mean {meant!r}?" in message
    assert allowed in message.split("allowed here:")[1]


def test_an_added_key_is_refused_with_what_was_meant_and_what_is_allowed():
    message = refusal("+trainer.max_epoch=3")
    assert message.startswith("trainer.max_epoch: unknown key; did you mean 'max_epochs'? allowed here: batch_size")


@pytest.mark.parametrize(
    "override, complaint",
    [
        ("trainer.max_epochs=many", "trainer.max_epochs='many': Input should be a valid integer"),
        ("trainer.max_epochs=1.5", "trainer.max_epochs=1.5: Input should be a valid integer"),
        ("trainer.max_epochs='3'", "trainer.max_epochs='3': Input should be a valid integer"),
        ("seed=null", "seed=None: Input should be a valid integer"),
        ("detectors.conv_ae.frames.gray=1", "detectors.conv_ae.frames.gray=1: Input should be a valid boolean"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_its_key(override: str, complaint: str):
    assert complaint in refusal(override)


@pytest.mark.parametrize(
    "overrides, complaint",
    [
        (["trainer.max_epochs=0"], "trainer.max_epochs=0: Input should be greater than or equal to 1"),
        (["seed=-1"], "seed=-1: Input should be greater than or equal to 0"),
        (["dataset.max_unreadable=1.5"], "dataset.max_unreadable=1.5: Input should be less than or equal to 1"),
        (["dataset.heldout.share=1"], "dataset.heldout.share=1: Input should be less than 1"),
        (["device=gpu"], "device='gpu': allowed: auto, cpu, cuda, cuda:NUMBER (cuda:0 is the first GPU) or mps"),
        (["device=cuda:x"], "device='cuda:x': allowed: auto"),
        (["device=1"], "device='1': allowed: auto"),
        (["run=a/b"], "run='a/b': 'a/b' names a folder or file"),
        (["run=.."], "run='..'"),
        (["run=events"], "run=events: a run has a folder of that name"),
        (["run=fusions"], "run=fusions: a run has a folder of that name"),
        (["experiment=sample", "dataset.sample.max_frames=30"], "min_frames=150 is greater than max_frames=30"),
        (["experiment=sample", "dataset.sample.corruption.flip=0.9"], "flip + heavy + light + missing is 1.31"),
        (["fusion.default.normalise.low=99.5"], "low=99.5 must be below high=99.0"),
        (["objects.tracks.begin=0.1"], "begin=0.1 is below high=0.25: boxes less sure than `high` begin no track"),
        (["objects.tracks.fill=3"], "fill=3.0 is above lost=1.2: a track that is unseen for longer than `lost` has"),
        (["weights.backbone=resnet18"], "weights.backbone='resnet18': allowed: clip_rn101, in_domain, packaged:"),
        (["weights.backbone=packaged:resnet18"], "allowed: clip_rn101, in_domain, packaged:tf_efficientnet_lite2, or"),
        (["weights.backbone='timm:'"], "weights.backbone='timm:': allowed"),
        (["weights.yolo=person"], "weights.yolo='person': allowed: motion, or a YOLO name or file"),
    ],
)
def test_an_impossible_value_is_refused_by_its_key_with_what_is_possible(overrides: list[str], complaint: str):
    assert complaint in refusal(*overrides)


def test_every_mistake_is_named_at_once():
    assert [line.split("=")[0] for line in refusal("seed=-1", "device=gpu", "trainer.patience=0").splitlines()] == [
        "seed",
        "device",
        "trainer.patience",
    ]


def test_validated_values_cannot_be_changed():
    config = load_config([])
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 1  # type: ignore[misc]


def test_an_unusable_seed_of_the_environment_only_concerns_the_step_that_uses_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    named = "environment variable SEED=abc: must be a whole number from 0"
    monkeypatch.setenv("SEED", "abc")
    config = load_config([f"mine.folder={tmp_path}/mining", "mine.source=footage"])
    assert config.seed == 0
    with pytest.raises(ConfigError, match=named):
        _ = config.mine.mask_seed
    with pytest.raises(PixelPlayError, match=named):  # among what else is missing
        files.run(config)
    assert not list(tmp_path.iterdir())
    assert load_config(["mine.seed=7"]).mine.mask_seed == 7
    monkeypatch.setenv("SEED", "-1")
    with pytest.raises(ConfigError, match="SEED=-1: must be"):
        _ = load_config([]).mine.mask_seed
    monkeypatch.setenv("SEED", "43")
    assert load_config([]).mine.mask_seed == 43
    assert "mine.seed='abc': Input should be a valid integer" in refusal("mine.seed=abc")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there_is_told_before_anything_is_decoded_or_listed(small_run: list[str], tmp_path: Path):
    small_run = [*small_run, "restore.flip=none"]
    config = load_config([*small_run, "device=cuda"])
    with pytest.raises(ConfigError, match=r"device=cuda: PyTorch .* finds no cuda device on this machine; it finds "):
        prepare_stage.run(config)
    assert not (tmp_path / "cache").exists() and not (tmp_path / "outputs").exists()
    prepare_stage.run(load_config(small_run))
    prepare_stage.run(config)  # nothing to do: nothing to tell
    config = load_config([f"mine.folder={tmp_path}/mining", f"mine.source={tmp_path}", "device=cuda"])
    with pytest.raises(PixelPlayError, match=r"device=cuda: PyTorch .* finds no cuda device"):
        files.run(config)
    assert not (tmp_path / "mining").exists()


# --- the commands ---------------------------------------------------------------------------------------------------


def test_help_shows_how_to_run_the_choices_and_keys_and_runs_nothing(tmp_path: Path):
    done = run_here("prepare.py", "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for text in ("Stage 1", f"usage: python {ROOT}/src/prepare.py", *EXPERIMENTS, "conv_ae", "dataset.root=FOLDER"):
        assert text in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_command_ends_on_a_mistake_with_one_message_no_traceback_and_status_1(tmp_path: Path):
    done = run_here("prepare.py", "experiment=ped2", "trainer.max_epoch=3", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: trainer.max_epoch: unknown key; did you mean 'max_epochs'?")
    assert "Traceback" not in done.stderr + done.stdout
    assert not list(tmp_path.iterdir())


def test_a_command_without_its_data_set_says_what_is_expected_and_how_to_name_it(tmp_path: Path):
    done = run_here("prepare.py", "experiment=ped2", "dataset.root=nowhere", "weights=in_domain", cwd=tmp_path)
    assert done.returncode == 1
    assert "error: data set 'ped2' not found: no such folder: nowhere" in done.stderr
    assert re.search(r"internet: +curl [^\n]* \\\n.* data/ped2\n +then: +dataset\.root=data/ped2\n", done.stderr)
    assert "dataset.root=FOLDER" in done.stderr and "Train/TrainNNN/FFF.tif" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 3000 + "]" * 3000], ids=["digits", "brackets"])
def test_an_override_that_cannot_be_read_is_told_by_its_key(value: str, tmp_path: Path):
    with pytest.raises(ConfigError, match=r"^seed='(9999|\[\[\[\[).* …: Input should be a valid integer$"):
        load_config([f"seed={value}"])
    done = run_here("prepare.py", f"seed={value}", cwd=tmp_path)
    assert done.returncode == 1 and re.match(r"error:\s+seed=", done.stderr) and "Traceback" not in done.stderr


# --- members of the fusion ------------------------------------------------------------------------------------------


COMPOSITE = "{method:power_mean,power:4.0,streams:{videopatchcore/spatial:{},videopatchcore/global:{}}}"


def test_a_composite_whose_weight_is_set_is_still_not_smoothed_again():
    named = "videopatchcore"
    weighed = [f"+fusion.members.{named}.weight=3", f"+fusion.composites.{named}={COMPOSITE}"]
    fusion = load_config(weighed).fusion
    assert named in fusion.composites and fusion.default.smooth.method != "none"
    assert fusion.members[named] == fusion.base_of(named).model_copy(update={"weight": 3.0})
    assert fusion.members[named].smooth.method == "none"
    asked = load_config([*weighed, "+fusion.members.videopatchcore.smooth.method=median"]).fusion
    assert asked.members[named].smooth.method == "median"
    assert load_config(["+fusion.members.conv_ae.weight=3"]).fusion.members["conv_ae"].smooth.method != "none"


def test_objects_weigh_four_times_as_much_as_another_member_and_are_processed_alike():
    fusion = load_config(["experiment=ped2", "dataset.root=data"]).fusion
    assert fusion.base_of("objects") == fusion.default.model_copy(update={"weight": 4.0})
    named = load_config(
        ["experiment=ped2", "dataset.root=data", "+fusion.members={objects:{smooth:{sigma:2.0}}}"]
    ).fusion
    assert (named.members["objects"].weight, named.members["objects"].smooth.sigma) == (4.0, 2.0)
