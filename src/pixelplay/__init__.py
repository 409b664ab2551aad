"""Video anomaly detection: learns what is normal from normal videos, and scores every frame of other ones."""

import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parents[1] if (PACKAGE.parents[1] / "pyproject.toml").is_file() else None
ROOT = CHECKOUT or PACKAGE  # where configs/ and pyproject.toml lie; a wheel has both inside the package


class _OnlyPixelplay(FileFinder):
    """Finds this package in src/, but not the scripts beside it."""

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        return super().find_spec(fullname, target) if fullname == "pixelplay" else None


# `python src/train.py` puts src/ first on sys.path. Without this, a library that looks for a package called evaluate
# or report would find the script of that name. src/ stays on the path, so that worker processes find pixelplay.
if CHECKOUT:
    for _entry in sys.path:
        if Path(_entry).resolve() == PACKAGE.parent:
            sys.path_importer_cache[_entry] = _OnlyPixelplay(_entry, (SourceFileLoader, SOURCE_SUFFIXES))
