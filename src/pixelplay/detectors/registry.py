"""Detectors by the name of their algorithm.

A new detector is a module or a package in this folder that lists its `SPECS`, and an entry in configs/detector/.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

import pixelplay.detectors
from pixelplay.detectors.base import Spec
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.errors import ConfigError, WeightsError
from pixelplay.objects.tables import Need
from pixelplay.settings import alternatives

if TYPE_CHECKING:  # importing it would import torch, which commands with nothing to do must not wait for
    import torch

    from pixelplay.config import Config
    from pixelplay.detectors.base import Detector


def create(name: str, config: DetectorConfig, device: "torch.device") -> "Detector":
    """A new, unfitted detector. Raises ConfigError for an unknown algorithm or settings that it refuses."""
    return _module(name, config).build(name, config, device)


def check_settings(detectors: Mapping[str, DetectorConfig]) -> None:
    """Refuse impossible settings before any work starts.

    Raises ConfigError, or one WeightsError that names all missing weights.
    """
    missing: dict[str, None] = {}  # two detectors may need the same
    for name, config in detectors.items():
        try:
            _module(name, config).check(name, config)
        except WeightsError as error:
            missing[str(error)] = None
    if missing:
        raise WeightsError("\n".join(missing))


def spec(name: str, config: DetectorConfig) -> Spec:
    """What is known of a detector's algorithm without importing torch; raises ConfigError for an unknown one."""
    known = specs()
    if config.algorithm not in known:
        hint = alternatives(config.algorithm, sorted(known))
        raise ConfigError(f"detectors.{name}.algorithm={config.algorithm!r}: unknown algorithm; {hint}")
    return known[config.algorithm]


def needing(config: "Config", need: Need) -> list[str]:
    """The run's detectors whose videos must come with boxes, tracks or features of objects."""
    return [name for name, detector in config.detectors.items() if need in spec(name, detector).needs]


def specs() -> Mapping[str, Spec]:
    """All algorithms, by name."""
    return _specs_in(tuple(pixelplay.detectors.__path__))


@cache  # a command asks hundreds of times
def _specs_in(folders: tuple[str, ...]) -> Mapping[str, Spec]:
    names = [f"{pixelplay.detectors.__name__}.{found.name}" for found in pkgutil.iter_modules(folders)]
    return {one.name: one for name in names for one in getattr(importlib.import_module(name), "SPECS", [])}


def _module(name: str, config: DetectorConfig) -> ModuleType:
    return importlib.import_module(spec(name, config).module)
