"""Detectors by the name of their module: a new detector is a file in this folder and an entry in configs/detector/."""

import importlib
import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pixelplay.detectors
from pixelplay.config import DetectorConfig, alternatives
from pixelplay.errors import ConfigError

if TYPE_CHECKING:  # importing it would import torch, which commands with nothing to do must not wait for
    import torch

    from pixelplay.detectors.base import Detector

CONTRACT_MODULES = {"base", "registry"}


def create(name: str, config: DetectorConfig, device: "torch.device") -> "Detector":
    """A new, unfitted detector. Raises ConfigError for an unknown algorithm or settings that it refuses."""
    return _module(name, config).build(name, config, device)


def check_settings(detectors: Mapping[str, DetectorConfig]) -> None:
    """Refuse impossible settings before any work starts; raises ConfigError."""
    for name, config in detectors.items():
        _module(name, config).check(name, config)


def module_name(config: DetectorConfig) -> str:
    return f"{pixelplay.detectors.__name__}.{config.algorithm}"


def _module(name: str, config: DetectorConfig) -> Any:
    names = [m.name for m in pkgutil.iter_modules(pixelplay.detectors.__path__) if m.name not in CONTRACT_MODULES]
    if config.algorithm not in names:
        hint = alternatives(config.algorithm, names)
        raise ConfigError(f"detectors.{name}.algorithm={config.algorithm!r}: unknown algorithm; {hint}")
    return importlib.import_module(module_name(config))
