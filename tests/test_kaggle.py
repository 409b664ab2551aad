"""Both of Kaggle's mount layouts: the competition, data sets of any owner, and the notebook's cells that find them."""

import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from tests.footage import write_frames
from tests.pipeline import ROOT

from pixelplay import requirements
from pixelplay.cli import load_config
from pixelplay.errors import DataError
from pixelplay.videos.kaggle import attached, attached_competition, on_kaggle
from pixelplay.videos.layouts import find_root

COMPETITION = "pixel-play-26"
LAYOUTS = {
    "flat": {"competition": "{}", "data set": "{}"},
    "grouped": {"competition": "competitions/{}", "data set": "datasets/somebody/{}"},
    "mixed": {"competition": "competitions/{}", "data set": "{}"},
}
layouts = pytest.mark.parametrize("layout", LAYOUTS)


def mounted(root: Path, layout: str, kind: str, slug: str) -> Path:
    folder = root / LAYOUTS[layout][kind].format(slug)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAGGLE_KERNEL_RUN_TYPE", raising=False)


@layouts
def test_competition_and_data_sets_are_found_by_their_slugs(tmp_path: Path, layout: str):
    data = mounted(tmp_path, layout, "competition", COMPETITION)
    weights = mounted(tmp_path, layout, "data set", "pixelplay-weights")
    mounted(tmp_path, layout, "data set", "pixelplay-weights-old")
    assert attached_competition(COMPETITION, tmp_path) == data
    assert attached("pixelplay-weights", tmp_path) == weights
    assert attached("pixelplay-wheels", tmp_path) is None


def test_data_sets_of_two_owners_with_one_name_are_an_error_that_names_both(tmp_path: Path):
    for owner in ("first", "second"):
        (tmp_path / f"datasets/{owner}/pixelplay-wheels").mkdir(parents=True)
    with pytest.raises(DataError, match=r"called pixelplay-wheels are attached: .*/first/.*, .*/second/.*; remove all"):
        attached("pixelplay-wheels", tmp_path)


def test_a_competition_that_is_not_attached_is_an_error_that_says_how_to_attach_it(tmp_path: Path):
    with pytest.raises(
        DataError, match=r"competition not attached: .*\n.* choose Add Input, then Competitions"
    ) as error:
        attached_competition(COMPETITION, tmp_path)
    for place in (tmp_path / COMPETITION, tmp_path / "competitions" / COMPETITION):
        assert str(place) in str(error.value)
    assert f"https://www.kaggle.com/competitions/{COMPETITION}" in str(error.value)


def test_a_kaggle_session_is_known_by_its_input_folder_or_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert on_kaggle(tmp_path)
    assert not on_kaggle(tmp_path / "absent")
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    assert on_kaggle(tmp_path / "absent")


@pytest.mark.parametrize("layout", ["flat", "grouped"])
def test_the_experiment_finds_the_competition_s_frames_by_itself(tmp_path: Path, layout: str):
    dataset = load_config(["experiment=pixelplay26"]).dataset
    kaggle = tmp_path / "kaggle/input"
    inside = mounted(kaggle, layout, "competition", COMPETITION) / "Avenue_Corrupted/Dataset"
    for folder in ("training_videos", "testing_videos"):
        (inside / folder).mkdir(parents=True)
    here = [candidate.replace("/kaggle/input", str(kaggle)) for candidate in dataset.candidates]
    assert find_root(dataset.model_copy(update={"candidates": here})) == inside


# --- the notebook's first cells -------------------------------------------------------------------------------------


def code_cells() -> list[str]:
    notebook = nbformat.read(ROOT / "notebooks/04_submit_from_kaggle.ipynb", as_version=4)
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def first_cells(kaggle: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the cells that find everything define, where /kaggle is `kaggle`."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    code = code_cells()
    assert 'Path("/kaggle")' in code[0]
    names: dict[str, Any] = {}
    for source in code[:2]:
        exec(source.replace('Path("/kaggle")', f'Path("{kaggle}")'), names)
    return names


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty /kaggle, in whose `working` the notebook runs."""
    working = tmp_path / "kaggle/working"
    working.mkdir(parents=True)
    monkeypatch.chdir(working)
    return working.parent


def attach_repository(session: Path, layout: str) -> Path:
    """The repository as a data set, one folder deep, as an unpacked archive has it."""
    folder = mounted(session / "input", layout, "data set", "anything") / "pixelplay-main"
    folder.mkdir()
    (folder / "src").symlink_to(ROOT / "src")
    return folder


@layouts
def test_the_notebook_finds_the_repository_the_competition_wheels_and_weights(
    session: Path, monkeypatch: pytest.MonkeyPatch, layout: str
):
    repository = attach_repository(session, layout)
    data = mounted(session / "input", layout, "competition", COMPETITION)
    write_frames(data / "Avenue_Corrupted/Dataset/testing_videos/01", range(2), name="frame_{:05d}.jpg")
    wheels = mounted(session / "input", layout, "data set", "pixelplay-wheels")
    weights = mounted(session / "input", layout, "data set", "pixelplay-weights")
    for name in ("yolov8n.pt", "resnet18.safetensors"):
        (weights / name).touch()
    found = first_cells(session, monkeypatch)
    assert (found["REPOSITORY"], found["WHEELS"]) == (repository, wheels)
    assert (found["WORK"], found["SUBMISSION"]) == (session / "working", session / "working/submission.csv")
    assert found["OPTIONS"] == [
        "experiment=pixelplay26",
        f"dataset.root={data}",
        "paths.cache=/tmp/pixelplay-cache",
        "weights=in_domain",
        f"weights.yolo={weights}/yolov8n.pt",
        "weights.backbone=timm:resnet18",
        f"weights.backbone_file={weights}/resnet18.safetensors",
    ]
    load_config(found["OPTIONS"])


def test_without_wheels_and_weights_the_notebook_goes_on(session: Path, monkeypatch: pytest.MonkeyPatch):
    attach_repository(session, "grouped")
    mounted(session / "input", "grouped", "competition", COMPETITION)
    found = first_cells(session, monkeypatch)
    assert found["WHEELS"] is None
    assert found["OPTIONS"][-1] == "weights=in_domain"


@layouts
def test_without_the_competition_the_notebook_stops(session: Path, monkeypatch: pytest.MonkeyPatch, layout: str):
    attach_repository(session, layout)
    with pytest.raises(DataError, match=re.escape(f"competition not attached: neither {session}/input/{COMPETITION}")):
        first_cells(session, monkeypatch)


def test_without_any_input_folder_it_is_kaggle_still(session: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Batch")
    monkeypatch.chdir(ROOT)  # a clone
    with pytest.raises(DataError, match="competition not attached"):
        first_cells(session, monkeypatch)


def test_without_the_repository_the_notebook_says_so(session: Path, monkeypatch: pytest.MonkeyPatch):
    mounted(session / "input", "grouped", "competition", COMPETITION)
    with pytest.raises(
        FileNotFoundError, match=re.escape(f"repository not attached: no src/pixelplay below {session}")
    ):
        first_cells(session, monkeypatch)


# --- packages -------------------------------------------------------------------------------------------------------


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the cell that checks packages is given, where one more is needed; pip installs into `site`."""
    project = tmp_path / "pyproject.toml"
    project.write_text(
        (ROOT / "pyproject.toml").read_text().replace("\ndependencies = [", '\ndependencies = ["absent-one>=2",')
    )
    monkeypatch.setattr(requirements, "PYPROJECT", project)
    requirements.project.cache_clear()
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "site"))  # not into the environment that runs the tests
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.chdir(tmp_path)
    yield {"WHEELS": None, "WORK": tmp_path, "sys": sys}
    requirements.project.cache_clear()


def check_packages(names: dict[str, Any]) -> None:
    source = next(cell for cell in code_cells() if "def install(" in cell)
    exec("\n".join(line for line in source.splitlines() if not line.startswith("%")), names)


def write_wheel(folder: Path) -> None:
    """The package absent-one 2.0, which has one empty module."""
    folder.mkdir()
    info = "absent_one-2.0.dist-info"
    files = {
        "absent_one.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: absent-one\nVersion: 2.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / "absent_one-2.0-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def test_of_all_packages_only_a_missing_one_is_installed_from_the_wheels(tmp_path: Path, packages: dict[str, Any]):
    write_wheel(tmp_path / "wheels")
    check_packages(packages | {"WHEELS": tmp_path / "wheels"})
    installed = {path.name for path in (tmp_path / "site").iterdir()} - {"__pycache__"}
    assert installed == {"absent_one.py", "absent_one-2.0.dist-info"}


def test_without_its_wheel_a_missing_package_is_named_with_pip_s_own_words(tmp_path: Path, packages: dict[str, Any]):
    (tmp_path / "wheels").mkdir()
    with pytest.raises(
        RuntimeError, match=r"No matching distribution found for absent-one>=2\s+missing packages: absent-one>=2"
    ):
        check_packages(packages | {"WHEELS": tmp_path / "wheels"})
    with pytest.raises(RuntimeError, match=r"missing packages: absent-one>=2\n.* install 'absent-one>=2'"):
        check_packages(packages)
