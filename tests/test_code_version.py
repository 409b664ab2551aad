"""Code versions: they change with code, not with comments, and follow imports."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pixelplay.code_version import code_version

SOURCE = Path(__file__).resolve().parents[1] / "src"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package `pixelplay` of four modules, with the real `code_version` in it: top -> middle -> deep, and apart."""
    folder = tmp_path / "src/pixelplay"
    (folder / "parts").mkdir(parents=True)
    for name in ("__init__", "code_version", "errors"):
        shutil.copy(SOURCE / f"pixelplay/{name}.py", folder)
    for name in ("config", "run"):
        shutil.copytree(SOURCE / f"pixelplay/{name}", folder / name)
    (folder / "parts/__init__.py").touch()
    (folder / "top.py").write_text("from pixelplay.parts import middle\nfrom pixelplay import errors\nVALUE = middle\n")
    (folder / "parts/middle.py").write_text("import pixelplay.parts.deep\nraise SystemExit('never run')\n")
    (folder / "parts/deep.py").write_text('"""Deep."""\n\n\ndef f(x):\n    """Of x."""\n    return x + 1  # one\n')
    (folder / "parts/apart.py").write_text("X = 1\n")
    return folder


EDITS: dict[str, tuple[str, str, bool]] = {  # what is done -> file, its new text, whether the version of top changes
    "comments": ("parts/deep.py", '"""Deep."""\n\n\ndef f(x):\n    """Of x."""\n    return x + 1\n', False),
    "docstrings": ("parts/deep.py", '"""Deeper."""\n\n\ndef f(x):\n    return x + 1\n', False),
    "formatting": ("parts/deep.py", "def f( x ):\n        return (x\n + 1)\n", False),
    "a number in an import of an import": ("parts/deep.py", "def f(x):\n    return x + 2\n", True),
    "an import": ("parts/middle.py", "raise SystemExit('never run')\n", True),
    "the module itself": ("top.py", "from pixelplay.parts import middle\nVALUE = 3\n", True),
    "a module that is not imported": ("parts/apart.py", "X = 2\n", False),
    "how errors are worded": ("errors.py", "X = 2\n", False),
}


def test_a_code_version_changes_with_the_code_of_all_imports_and_with_nothing_else(package: Path):
    script = """
import json, sys
from pathlib import Path
from pixelplay.code_version import code_version
package, edits = Path(sys.argv[1]), json.loads(sys.argv[2])
def version():
    code_version.cache_clear()
    return code_version("pixelplay.top")
first, changed = version(), {}
for what, (file, text, _) in edits.items():
    old = (package / file).read_text()
    (package / file).write_text(text)
    changed[what] = version() != first
    (package / file).write_text(old)
assert version() == first
print(json.dumps(changed))
"""
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    command = [sys.executable, "-c", script, str(package), json.dumps(EDITS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {what: changes for what, (_, _, changes) in EDITS.items()}


def test_stages_have_code_versions_of_their_own_which_need_no_heavy_import():
    script = """
import sys
from pixelplay.code_version import code_version
for name in ("stages.prepare", "stages.train", "detectors.autoencoder"):
    print(code_version(f"pixelplay.{name}"))
assert not {"torch", "cv2", "lightning"} & set(sys.modules)
"""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(set(done.stdout.split())) == 3
    assert done.stdout.split()[0] == code_version("pixelplay.stages.prepare")
