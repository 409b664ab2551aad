"""What is typed in a shell: paths as they are, and slips answered with the command that works."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from tests.pipeline import ROOT, run, run_here

from pixelplay.cli import load_config
from pixelplay.command_line import read_arguments
from pixelplay.config import Config
from pixelplay.errors import ConfigError
from pixelplay.overrides import QUOTED, fields, read_override
from pixelplay.stages import prepare

ODD = [
    "/data/my videos (2)",
    "a=b",
    "grün/ß",
    "a,b",
    "[x]",
    "50%",
    "a#1",
    "it's",
    'say "a"',
    "x;y&z|w",
    "a\\b",
    "${x",
    "1e3",
]
CHARACTERS = st.one_of(
    st.sampled_from("ab/\\'\"${}[]()=,:~ %#?*&|;\t\n.1-ü+@!"),
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
)


def as_typed(text: str) -> bool:
    """Not what has a meaning of its own: null, ???, text in quotes, ${key}."""
    own = text.lower() == "null" or text == "???" or re.fullmatch(QUOTED, text, re.DOTALL)
    return not own and not re.search(r"\$\{[^{}]+\}", text)


def value_of(override: str) -> object:
    """What the configuration has after Hydra and OmegaConf have read an override."""
    value = OverridesParser.create().parse_override(read_override(override)).value()
    return OmegaConf.to_container(OmegaConf.create({"key": value}), resolve=True)["key"]


def refusal(line: str, command: str = "train") -> str:
    """The message for arguments typed like this, behind `python src/train.py`."""
    with pytest.raises(ConfigError) as error:
        read_arguments(shlex.split(line), command)
    message = str(error.value)
    assert "hydra" not in message.lower() and "Traceback" not in message
    return message


@pytest.fixture(autouse=True)
def called_as_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["src/train.py"])
    monkeypatch.delenv("PIXELPLAY_COMMAND", raising=False)


# --- text as typed --------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.text(CHARACTERS, min_size=1).filter(as_typed))
def test_any_path_is_taken_as_typed(path: str):
    assert value_of(f"dataset.root={path}") == path


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(CHARACTERS, min_size=1).filter(
            lambda text: as_typed(text) and "," not in text and text.strip() == text and text[0] not in "'\"["
        ),
        min_size=1,
        max_size=3,
    )
)
def test_any_paths_of_a_list_are_taken_as_typed(paths: list[str]):
    assert value_of(f"fusion.external=[{','.join(paths)}]") == paths


def test_every_key_that_takes_a_path_takes_it_as_typed():
    keys = [key for key, field in fields().items() if field.text and not field.many]
    assert {"dataset.root", "dataset.tracks", "weights.backbone_file", "fusion_file", "mine.source"} < set(keys)
    assert {"submit.sample", "submit.message", "mine.select.baseline", "paths.cache", "show.video"} < set(keys)
    for key in set(keys) - {"experiment"}:
        assert value_of(f"{key}=~/a=b (1)") == "~/a=b (1)"
    assert [key for key in ("fusion.external", "report.clips", "mine.cameras") if not fields()[key].many] == []


def test_what_is_written_for_hydra_means_what_it_meant():
    for override, value in {
        'dataset.root="a=b"': "a=b",
        "dataset.root='a b'": "a b",
        "dataset.root=null": None,
        'fusion.external=["a,b.csv", c.csv]': ["a,b.csv", "c.csv"],
        "fusion.external=[]": [],
        "fusion.external=old best.csv": ["old best.csv"],
        "report.clips=[1,02]": ["1", "02"],
    }.items():
        assert value_of(override) == value
    assert read_override("dataset.root=${oc.env:HOME}/x") == "dataset.root=${oc.env:HOME}/x"


@pytest.mark.parametrize("quoted", [False, True])
def test_a_tilde_is_the_home_folder(quoted: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/me")
    value = '"~/x=y"' if quoted else "~/x=y"
    config = load_config([f"dataset.root={value}", f"paths.cache={value}", f"weights.backbone_file={value}"])
    assert {config.dataset.root, config.paths.cache, config.weights.backbone_file} == {Path("/home/me/x=y")}


def test_a_tilde_of_nobody_and_an_empty_path_are_refused_by_their_key():
    with pytest.raises(ConfigError) as error:
        load_config(["dataset.root=~nobody-here/x", "paths.cache="])
    assert "dataset.root='~nobody-here/x': no such user: ~nobody-here" in str(error.value)
    assert str(Path.cwd() / "~nobody-here/x") in str(error.value)
    assert load_config([f"dataset.root={Path.cwd()}/~nobody-here/x"]).dataset.root == Path.cwd() / "~nobody-here/x"
    with pytest.raises(ConfigError, match="~nobody-here/x"):
        load_config(["fusion_file=~nobody-here/x"])
    assert "paths.cache='': a file or folder has a name" in str(error.value)


def test_a_data_set_and_outputs_in_oddly_named_folders_are_prepared(
    small_folder: Path, small_run: list[str], tmp_path: Path
):
    odd = tmp_path / "my [videos] (2), a=b, 50% #1 'ü' \"q\" ${x"
    small_folder.rename(odd)
    paths = [f"paths.{name}={odd.parent}/{name} of = [me], {{1}}" for name in ("outputs", "cache")]
    kept = [o for o in small_run if not o.startswith("dataset.root=")]
    overrides = [*kept, *paths, f"dataset.root={odd}", "restore.flip=none"]
    prepare.run(load_config(overrides))
    assert (tmp_path / "outputs of = [me], {1}/folder/index.json").is_file()
    assert (tmp_path / "cache of = [me], {1}").is_dir()


def test_commas_of_paths_part_the_runs_of_a_sweep():
    assert read_arguments(["-m", "dataset.root=~/a,b c,'d,e'"], "train") == ["-m", "dataset.root='~/a',b c,'d,e'"]
    assert read_arguments(["-m", "detector=[conv_ae],[st_ae]", "seed=range(0,3)"], "train")[1:] == [
        "detector=[conv_ae],[st_ae]",
        "seed=range(0,3)",
    ]
    assert read_arguments(["detector=conv_ae,st_ae", "--cfg", "job"], "train") == [
        "--cfg",
        "job",
        "detector=[conv_ae,st_ae]",
    ]


# --- slips ----------------------------------------------------------------------------------------------------------

SLIPS = {
    "--epochs 5": "trainer.max_epochs=5",
    "--epochs=5 experiment=ped2": "trainer.max_epochs=5 experiment=ped2",
    "--lr 1e-3 ped2": "trainer.learning_rate=1e-3 experiment=ped2",
    "--batch-size 8": "trainer.batch_size=8",
    "--experiment pedd2": "experiment=ped2",
    "--seeed 3": "seed=3",
    "--cpu": "device=cpu",
    "ped2": "experiment=ped2",
    "pedd2": "experiment=ped2",
    "conv_ae": "detector=conv_ae",
    "cuda:1": "device=cuda:1",
    "experiment=pedd2": "experiment=ped2",
    "dataset=pedd2": "dataset=ped2",
    "dataset=avenu": "dataset=avenue",
    "dataset=/data/ped2": "dataset.root=/data/ped2",
    "detector=conv_ea": "detector=conv_ae",
    "detector=[conv_ea,st_ae] seed=1": "'detector=[conv_ae,st_ae]' seed=1",
    "seed =1": "seed=1",
    "seed= 1": "seed=1",
    "seed = 1": "seed=1",
    "'seed =1'": "seed=1",
    "seed 1": "seed=1",
    "trainer.max_epochs: 5": "trainer.max_epochs=5",
    "/data/ped2": "dataset.root=/data/ped2",
    "'/data/my videos (2)'": "'dataset.root=/data/my videos (2)'",
    "~/x": "'dataset.root=~/x'",
    "seed=1,2": "--multirun seed=1,2",
    "--multi seed=1,2": "--multirun seed=1,2",
    "show.frames=60,90": "'show.frames=[60,90]'",
    "step=score seed=1": "seed=1",
}


@pytest.mark.parametrize(("typed", "works"), SLIPS.items())
def test_a_slip_is_answered_with_the_command_that_works(typed: str, works: str):
    message = refusal(typed)
    assert message.splitlines()[-1] == f"did you mean: python src/train.py {works}"
    assert read_arguments(shlex.split(works), "train")


def test_run_all_proposes_itself(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIXELPLAY_COMMAND", "./run_all.sh")
    assert refusal("ped2 'dataset.root=a b'").endswith("did you mean: ./run_all.sh experiment=ped2 'dataset.root=a b'")


def test_every_slip_is_named_at_once_and_no_command_is_made_up_for_what_nobody_knows():
    message = refusal("--epochs 5 ped2 --frobnicate 7 xyzzy")
    first, second, third, fourth = message.splitlines()
    assert first == "--epochs 5: options are written key=value, without dashes: trainer.max_epochs=5"
    assert second == "ped2: options are written key=value: experiment=ped2"
    assert third.startswith("--frobnicate 7: no such flag; flags: --help, --version, --multirun, --cfg job")
    assert fourth.startswith("xyzzy: not an option; options are written key=value")


def test_unknown_choices_are_told_with_those_there_are():
    assert "did you mean 'ped2'? allowed here: avenue, folder, ped2" in refusal("experiment=pedd2")
    assert "did you mean:" not in refusal("experiment=xyzzy")
    assert refusal("detector=").startswith("detector=: no such file in configs/detector/; allowed here: conv_ae")
    assert "paths.outputs" in refusal("paths=3")


def test_steps_are_those_of_the_command():
    assert refusal("step=banana") == (
        "step=banana: only `python src/mine.py` has steps (manifest, score, render, distribution, select); "
        "remove step=\ndid you mean: python src/train.py"
    )
    allowed = "allowed here: distribution, manifest, render, score, select"
    assert refusal("step=banana", "mine") == f"step=banana: no such step; {allowed}"
    assert "python src/mine.py step=score" in refusal("step=scor", "mine")
    assert "python src/mine.py step=manifest" in refusal("manifest", "mine")
    assert "python src/mine.py mine.source=/a/b" in refusal("/a/b", "mine")
    assert read_arguments(["step=score"], "mine") == ["step=score"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=a=b", "seed='a=b': Input should be a valid integer"),
        ("trainer.max_epochs=(5", "trainer.max_epochs='(5': Input should be a valid integer"),
        ("epochs=5", "epochs: unknown key; did you mean 'trainer.max_epochs'?"),
        ("seed.x=1", "seed.x: unknown key; seed has no keys below it"),
        ("dataset.root=???", "dataset.root=???: means that no value is given"),
        ("über=3", "über=3: not an option"),
        ("seed=1,2", "seed=1,2: several values for one key"),
    ],
)
def test_what_hydra_would_refuse_is_refused_by_its_key(override: str, message: str):
    with pytest.raises(ConfigError) as error:
        load_config([override])
    assert str(error.value).startswith(message)
    assert "hydra" not in str(error.value).lower()


def test_of_a_key_given_twice_the_last_value_counts():
    config = load_config(["seed=1", "experiment=sample", "experiment=ped2", "+seed=2"])
    assert isinstance(config, Config)
    assert (config.seed, config.experiment) == (2, "ped2")


# --- as commands ----------------------------------------------------------------------------------------------------


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr and "hydra" not in done.stderr.lower()
    return done.stderr


def test_a_slip_ends_a_command_with_status_1_and_run_all_says_what_to_type(tmp_path: Path):
    message = refused(run("bash", ROOT / "run_all.sh", "--epochs", "5", cwd=tmp_path))
    assert message.startswith("error: --epochs 5: options are written key=value")
    assert message.endswith(f"did you mean: {ROOT}/run_all.sh trainer.max_epochs=5\n")
    assert not list(tmp_path.iterdir())
    assert "did you mean: ./run_all.sh experiment=ped2\n" in refused(run("bash", "run_all.sh", "ped2", cwd=ROOT))


def test_the_version_is_that_of_the_package(tmp_path: Path):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    done = run("bash", ROOT / "run_all.sh", "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"pixelplay {version}\n", "")


def test_a_data_set_that_is_not_there_is_named_as_typed(tmp_path: Path):
    done = run_here("prepare.py", "experiment=folder", "weights=in_domain", "dataset.root=a=b (2)", cwd=tmp_path)
    assert "no such folder: a=b (2)" in refused(done)
