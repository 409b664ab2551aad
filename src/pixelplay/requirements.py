"""The packages that pyproject.toml requires: which are missing here, and the commands that install them.

Dependencies are needed by every run, an extra by some settings. Runs on a bare Python, for src/environment.py.
"""

import platform
import shlex
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from pixelplay import ROOT
from pixelplay.errors import MissingPackageError

try:
    from packaging.requirements import Requirement
except ImportError:  # every environment with pip has pip's own copy
    from pip._vendor.packaging.requirements import Requirement

PYPROJECT = ROOT / "pyproject.toml"
SAME_MODULE = {"opencv-python": ["opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"]}
WHEELS = "pixelplay-wheels"  # folder, and Kaggle data set, of packages that were downloaded elsewhere
GLIBC = ("_2_31", "_2_28", "_2_27", "_2_25", "_2_18", "2014")  # manylinux tags of the pinned packages' wheels
# Hydra's parser needs it, and there is no wheel of it to download. It is pure Python: one fits any machine.
ANTLR = "antlr4-python3-runtime==4.9.*"
NEED_ANTLR = {"hydra-core", "omegaconf"}


@cache
def project() -> dict:
    """The table `project` of pyproject.toml."""
    return tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]


def dependencies() -> list[str]:
    """What every run needs."""
    return list(project()["dependencies"])


def extras() -> dict[str, list[str]]:
    """What only some settings need, by the names of the extras; also the tests'."""
    return project()["optional-dependencies"]


def lacking(requirements: Iterable[str]) -> dict[str, str]:
    """The requirements that this environment does not meet, each with the reason."""
    wanted = dict.fromkeys(requirements)
    return {text: found for text in wanted if (found := _lacks(Requirement(text))) is not None}


def require(names: Iterable[str]) -> None:
    """Raise MissingPackageError that lists every missing package of these extras."""
    packages = lacking(package for name in names for package in extras()[name])
    if packages:
        raise MissingPackageError(f"packages that these settings need:\n{listed(packages)}{how_to_install(packages)}")


def listed(lacking: dict[str, str]) -> str:
    """What `lacking` found, a line each."""
    return "".join(f"  {package:40} {reason}\n" for package, reason in lacking.items())


def how_to_install(requirements: Iterable[str]) -> str:
    """Commands for this environment: with internet, and with packages that were downloaded on another machine."""
    packages = shlex.join(requirements)
    pip = f"{shlex.quote(sys.executable)} -m pip install"
    machine = platform.machine() or "x86_64"
    platforms = " ".join(f"--platform manylinux{glibc}_{machine}" for glibc in GLIBC)
    python = f"--python-version {sys.version_info.major}.{sys.version_info.minor} --implementation cp"
    names = {Requirement(text).name for text in requirements}
    antlr = f"  pip wheel -w {WHEELS} --no-deps {shlex.quote(ANTLR)}\n" if names & NEED_ANTLR else ""
    return f"""  {pip} {packages}
Without internet, for instance on Kaggle: download them on a machine with internet,
{antlr}  pip download -d {WHEELS} --find-links {WHEELS} --only-binary=:all: {platforms} {python} {packages}
bring the folder here (on Kaggle attach it as the data set {WHEELS}, and give its folder below /kaggle/input), and
install from it:
  {pip} --no-index --find-links {WHEELS} {packages}"""


def _lacks(requirement: Requirement) -> str | None:
    """What is wrong with the installed package; None if nothing is."""
    for name in [requirement.name, *SAME_MODULE.get(requirement.name, [])]:
        try:
            found = version(name)
        except PackageNotFoundError:
            continue
        return None if requirement.specifier.contains(found, prereleases=True) else f"has {found}"
    return "not installed"
