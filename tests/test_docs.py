"""The documentation names tests that exist, commands that are accepted, and where to get what they need."""

import re
import shlex
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import nbformat
import timm
from tests.pipeline import ROOT

from pixelplay.cli import load_config
from pixelplay.objects import yolo_weights as weights
from pixelplay.videos.layouts import ped2

WRITTEN = re.compile(r"fusion\.yaml|scores\.jsonl")  # files that other commands write first


def test_every_test_that_data_md_names_is_there():
    named = re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", (ROOT / "docs/data.md").read_text(encoding="utf-8"))
    assert len(named) > 40
    for file, test in named:
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert f"def {test}(" in text if test else text, f"{file}::{test}"


def commands_of(path: Path) -> list[list[str]]:
    """The commands in a page's bash blocks, a line that ends in a backslash joined to the next, comments left out."""
    blocks = re.findall(r"```bash\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def test_the_readme_s_commands_have_options_that_are_accepted():
    commands = commands_of(ROOT / "README.md")
    runs = [words[1:] for words in commands if words[0] == "./run_all.sh"]
    runs += [words[2:] for words in commands if words[0] == "python" and words[1].startswith("src/")]
    of_others = {"…", "--multirun", *(option for options in runs for option in options if WRITTEN.search(option))}
    runs = [options for options in runs if not of_others & set(options)]
    assert len(runs) > 10
    for options in runs:
        load_config(options)


def test_what_the_readme_downloads_is_what_the_code_would_and_is_called_as_the_run_calls_it():
    text = "\n".join(" ".join(words) for words in commands_of(ROOT / "README.md"))
    assert f"curl -fLO {weights.RELEASE}/yolov8n.pt\n" in text
    repository = timm.get_pretrained_cfg("resnet18").hf_hub_id
    url = f"https://huggingface.co/{repository}/resolve/main/model.safetensors"
    assert f"curl -fL -o resnet18.safetensors {url}\n" in text
    assert all(f"{part}\n" in text.replace(" && ", "\n") + "\n" for part in ped2.DOWNLOAD.split(" && "))
    assert "weights.yolo=yolov8n.pt" in text and "weights.backbone_file=resnet18.safetensors" in text
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
    assert ["python", "-m", "pip", "install", "jupyterlab"] in commands_of(ROOT / "notebooks/README.md")


def test_the_python_in_the_notebooks_readme_runs_up_to_the_run_s_files():
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "notebooks/README.md").read_text(encoding="utf-8"), re.DOTALL)
    exec(block.split("index = ")[0], {})
