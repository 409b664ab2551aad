"""The notebooks run from top to bottom, and are stored without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from tests.pipeline import ROOT, run_python

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path):
    cells = nbformat.read(path, as_version=4).cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells if cell.cell_type == "code")


def test_inspect_scores_shows_a_table_the_curves_and_an_error_map_for_each_detector(tmp_path: Path):
    for script in ("prepare", "train", "score", "fuse", "evaluate"):
        done = run_python(f"{script}.py", "experiment=tiny", "workers=1", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    (tmp_path / "run_all.sh").touch()  # by which a notebook knows the repository's folder
    (tmp_path / "src").symlink_to(ROOT / "src")
    notebook = nbformat.read(ROOT / "notebooks/02_inspect_scores.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace('"experiment=sample"', '"experiment=tiny", "workers=1"')
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output.data for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    assert sum("image/png" in data for data in shown) == 1 + 3
    table = next(data["text/html"] for data in shown if "text/html" in data)
    assert all(name in table for name in ("conv_ae", "denoising_ae", "st_ae", "fused"))
