"""Detectors by the name of their module: a new detector is a file in this folder and an entry in configs/detector/."""

import ast
import importlib.util
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pixelplay.detectors
from pixelplay.config import DetectorConfig, alternatives
from pixelplay.errors import ConfigError, WeightsError

if TYPE_CHECKING:  # importing it would import torch, which commands with nothing to do must not wait for
    import torch

    from pixelplay.detectors.base import Detector

CONTRACT_MODULES = {"base", "registry"}
FAMILIES = {  # algorithms that are a module of a family's folder
    "autoencoder": "autoencoder.detector",
    "videomae_profile": "videomae.profile",
    "videomae_reconstruction": "videomae.reconstruction",
    "videopatchcore": "videopatchcore.detector",
}
FOLDERS = {"autoencoder", "videomae", "videopatchcore"}


def create(name: str, config: DetectorConfig, device: "torch.device") -> "Detector":
    """A new, unfitted detector. Raises ConfigError for an unknown algorithm or settings that it refuses."""
    return _module(name, config).build(name, config, device)


def check_settings(detectors: Mapping[str, DetectorConfig]) -> None:
    """Refuse impossible settings before any work starts: raises ConfigError, or one WeightsError for all weights that
    detectors lack.
    """
    lacking: dict[str, None] = {}  # two detectors may lack the same
    for name, config in detectors.items():
        try:
            _module(name, config).check(name, config)
        except WeightsError as error:
            lacking[str(error)] = None
    if lacking:
        raise WeightsError("\n".join(lacking))


def asks_for_objects(name: str, config: DetectorConfig) -> bool:
    """Whether the algorithm's module says `OBJECTS = True`: then its videos come with boxes (`objects.boxes_of`).

    Read from the module's text, since importing it would import torch. Raises ConfigError for an unknown algorithm.
    """
    found = importlib.util.find_spec(_known_module(name, config))
    assert found is not None and found.origin is not None
    tree = ast.parse(Path(found.origin).read_text(encoding="utf-8"))
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    return any(ast.unparse(node) == "OBJECTS = True" for node in assigned)


def module_name(config: DetectorConfig) -> str:
    return f"{pixelplay.detectors.__name__}.{FAMILIES.get(config.algorithm, config.algorithm)}"


def _module(name: str, config: DetectorConfig) -> Any:
    return importlib.import_module(_known_module(name, config))


def _known_module(name: str, config: DetectorConfig) -> str:
    found = {m.name for m in pkgutil.iter_modules(pixelplay.detectors.__path__)}
    names = sorted({*FAMILIES, *(found - CONTRACT_MODULES - FOLDERS)})
    if config.algorithm not in names:
        hint = alternatives(config.algorithm, names)
        raise ConfigError(f"detectors.{name}.algorithm={config.algorithm!r}: unknown algorithm; {hint}")
    return module_name(config)
