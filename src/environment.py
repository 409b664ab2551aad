"""Names what the active environment lacks to run this project, with the command that installs it; installs nothing.

    python src/environment.py [requirement files]

Runs on a bare Python: it reads pyproject.toml's ranges, since exact pins are for the .venv that the project makes.
"""

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

try:
    from packaging.requirements import Requirement
except ImportError:  # every environment with pip has pip's own copy
    try:
        from pip._vendor.packaging.requirements import Requirement
    except ImportError:
        sys.exit(
            f"error: the active environment ({sys.prefix}) has neither pip nor the package packaging: run "
            "`python -m ensurepip` (or, made by uv, `uv pip install packaging`), then the same command again"
        )

ROOT = Path(__file__).resolve().parents[1]
SAME_MODULE = {"opencv-python": ["opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"]}


def main(files: list[str]) -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"]
    if any("tests" in file for file in files):
        wanted += project["optional-dependencies"]["test"]
    lacking = {text: found for text in wanted if (found := _lacks(Requirement(text))) is not None}
    if not lacking:
        return 0
    packages = " ".join(f"'{text}'" for text in lacking)
    print(f"error: the active environment ({sys.prefix}) lacks packages that PixelPlay needs:", file=sys.stderr)
    for text, found in lacking.items():
        print(f"  {text:40} {found}", file=sys.stderr)
    print(
        f"""
Install them yourself (nothing is installed into an environment of yours unasked):
  pip install {packages}
Without internet, for instance on Kaggle: download them elsewhere, attach the folder as a data set, and install from it:
  pip download -d wheels {packages}
  pip install --no-index --find-links /kaggle/input/wheels {packages}
Or leave the environment (deactivate) and let the project make its own .venv.""",
        file=sys.stderr,
    )
    return 1


def _lacks(requirement: "Requirement") -> str | None:
    """What is wrong with the installed package, None when nothing is."""
    for name in [requirement.name, *SAME_MODULE.get(requirement.name, [])]:
        try:
            found = version(name)
        except PackageNotFoundError:
            continue
        return None if requirement.specifier.contains(found, prereleases=True) else f"has {found}"
    return "not installed"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
