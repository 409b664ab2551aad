"""The documentation names tests that exist, valid commands and links, and where to get what they need."""

import re
import shlex
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import nbformat
import pytest
import timm
from tests.pipeline import ROOT

from pixelplay.cli import load_config
from pixelplay.command_line import take_operand
from pixelplay.commands import COMMANDS
from pixelplay.objects import yolo_weights as weights
from pixelplay.videos.layouts import ped2

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += [ROOT / f"{folder}/README.md" for folder in ("notebooks", "checkpoints", "submissions")]
EXAMPLES = ROOT / "docs/examples"
WRITTEN = re.compile(r"fusion\.yaml|scores\.jsonl|fusion\.external|numbered_clips|example")  # needs files made before
FLAGS = ("…", "--multirun", "--dry-run", "--help")  # … stands for the options of a run


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_test_that_data_md_names_is_there():
    named = re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", (ROOT / "docs/data.md").read_text(encoding="utf-8"))
    assert len(named) > 40
    for file, test in named:
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert f"def {test}(" in text if test else text, f"{file}::{test}"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 170


def blocks_of(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


def commands_of(path: Path) -> list[list[str]]:
    """The commands in a page's bash blocks, a line that ends in a backslash joined to the next, comments left out."""
    lines = [line for block in blocks_of(path, "bash") for line in block.replace("\\\n", " ").splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def runs_of(path: Path) -> list[tuple[str, list[str]]]:
    """The project's own commands in a page, by name, with their arguments."""
    runs: list[tuple[str, list[str]]] = []
    for words in commands_of(path):
        if words[0] == "./run_all.sh":
            runs.append(("run", words[1:]))
        elif words[0] == "python" and words[1].startswith("src/"):
            assert (ROOT / words[1]).is_file(), words[1]
            runs.append((Path(words[1]).stem, words[2:]))
        elif words[0] == "pixelplay":
            runs.append((words[1], words[2:]))
    return runs


def test_the_commands_of_the_documentation_have_options_that_are_accepted():
    runs = [run for path in PAGES for run in runs_of(path)]
    assert len(runs) > 40
    for name, arguments in runs:
        assert name in COMMANDS or name == "--help"
        own = COMMANDS[name].flags if name in COMMANDS else ()
        options = [argument for argument in arguments if argument not in (*FLAGS, *own)]
        if name == "validate" or any(WRITTEN.search(option) for option in options):
            continue
        if name in COMMANDS and COMMANDS[name].operand:
            _, options = take_operand(options, name)
        if "--multirun" in arguments:
            options = [option.split(",")[0] for option in options]  # the first of each list
        load_config(options)


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_links_lead_to_files_and_headings(path: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        file, _, heading = target.partition("#")
        if file.startswith("http"):
            continue
        found = path if not file else (path.parent / file).resolve()
        assert found.exists(), f"{relative(path)}: {target}"
        assert not heading or heading in headings_of(found), f"{relative(path)}: {target}"


def headings_of(path: Path) -> set[str]:
    """Headings as GitHub's links name them."""
    titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_files_of_the_repository_that_a_page_names_are_there(path: Path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    named = re.findall(r"`((?:src|configs|tests|docs|benchmarks|notebooks|results)/[\w./-]+)`", text)
    moved = path.name == "CHANGELOG.md"  # it names what is gone, too
    assert moved or not (missing := [name for name in named if not (ROOT / name).exists()]), missing


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_tables_have_as_many_cells_in_every_row(path: Path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for table in re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(widths) == 1, table.splitlines()[0]


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_python_in_the_documentation_compiles(path: Path):
    for block in blocks_of(path, "python"):
        compile(block, str(path), "exec")


def test_the_example_in_the_documentation_is_the_one_that_is_tested():
    page = ROOT / "docs/extending.md"
    assert blocks_of(page, "python") == [(EXAMPLES / "detectors/frame_difference.py").read_text(encoding="utf-8")]
    assert blocks_of(page, "yaml") == [
        (EXAMPLES / "configs/detector/frame_difference.yaml").read_text(encoding="utf-8")
    ]


def test_the_examples_are_copied_from_where_they_are_to_where_their_kind_belongs():
    copies = [words for words in commands_of(ROOT / "docs/extending.md") if words[0] == "cp"]
    copied = {Path(words[-2]).stem for words in copies}
    assert copied == {"frame_difference", "next_frame", "numbered_clips"}
    for words in copies:
        assert (ROOT / words[-2]).exists() and (ROOT / words[-1]).is_dir(), words


def test_what_the_documentation_downloads_is_what_the_code_would_and_is_called_as_the_run_calls_it():
    text = "\n".join(" ".join(words) for words in commands_of(ROOT / "docs/detectors.md"))
    assert f"curl -fLO {weights.RELEASE}/yolov8n.pt\n" in text
    repository = timm.get_pretrained_cfg("resnet18").hf_hub_id
    url = f"https://huggingface.co/{repository}/resolve/main/model.safetensors"
    assert f"curl -fL -o resnet18.safetensors {url}\n" in text
    assert "weights.yolo=yolov8n.pt" in text and "weights.backbone_file=resnet18.safetensors" in text
    for path in (ROOT / "README.md", ROOT / "docs/data.md"):
        text = "\n".join(" ".join(words) for words in commands_of(path))
        assert all(f"{part}\n" in text.replace(" && ", "\n") + "\n" for part in ped2.DOWNLOAD.split(" && "))
        assert "experiment=ped2 dataset.root=data/ped2" in text


def test_what_notebooks_import_is_pinned_or_their_readme_names_it():
    """And a server to show them in, which no requirement file has, comes with the command that installs it."""
    sources = [nbformat.read(path, as_version=4).cells for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    code = "\n".join(cell.source for cells in sources for cell in cells if cell.cell_type == "code")
    imported = set(re.findall(r"^\s*(?:import|from)\s+(\w+)", code, re.MULTILINE)) - {
        *sys.stdlib_module_names,
        "pixelplay",
    }
    assert {"numpy", "pandas", "matplotlib"} <= imported
    about = (ROOT / "notebooks/README.md").read_text(encoding="utf-8")
    pinned = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    for module in imported:
        packages = packages_distributions()[module]
        found = any(re.search(rf"^{re.escape(name)}==", pinned, re.MULTILINE | re.IGNORECASE) for name in packages)
        assert found or any(f"`{name}`" in about for name in packages), module
    assert ["python", "-m", "pip", "install", "jupyterlab", "ipywidgets"] in commands_of(ROOT / "notebooks/README.md")


def test_the_python_in_the_notebooks_readme_runs_up_to_the_run_s_files():
    (block,) = blocks_of(ROOT / "notebooks/README.md", "python")
    exec(block.split("index = ")[0], {})
