"""Puts configs/ and pyproject.toml into the wheel, where `pixelplay.ROOT` finds them; the rest is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            package = Path(self.build_lib, "pixelplay")
            shutil.copytree("configs", package / "configs", dirs_exist_ok=True)
            shutil.copy("pyproject.toml", package)


setup(cmdclass={"build_py": BuildWithConfigs})
