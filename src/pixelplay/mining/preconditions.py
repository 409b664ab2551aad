"""What the steps of `src/mine.py` need: footage, a trained VideoMAE, a device. All that is missing is named at once,
before any work.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pixelplay import requirements
from pixelplay.errors import ConfigError, DataError, PixelPlayError, WeightsError
from pixelplay.mining.settings import MineConfig

if TYPE_CHECKING:
    from pixelplay.config import Config

TRAINED = (
    "or a model that a run has trained: weights.videomae=checkpoints/<experiment>/videomae_reconstruction/videomae"
)


def require(config: "Config", steps: Sequence[str]) -> None:
    """Raise an error that names all that is missing for these steps: footage, weights, a valid seed, the device."""
    checks: list[Callable[[], object]] = []
    if "manifest" in steps:
        checks.append(lambda: _require_source(config.mine))
    if {"score", "render"} & {*steps} or ("select" in steps and config.mine.select.diversify != "none"):
        checks.append(lambda: _require_weights(config))
    if "score" in steps:
        checks += [lambda: config.mine.mask_seed, lambda: _require_device(config.device)]
    found: list[PixelPlayError] = []
    for check in checks:
        try:
            check()
        except PixelPlayError as error:
            found.append(error)
    if found:
        raise type(found[0])("\n".join(map(str, found)))


def _require_source(mine: MineConfig) -> None:
    if mine.source is None:
        raise ConfigError("mine.source=null: name the footage, for instance mine.source=data/nuscenes")
    if not mine.source.exists():
        raise DataError(f"mine.source={mine.source}: not found (a relative path starts at the working directory)")


def _require_weights(config: "Config") -> None:
    """Downloads nothing."""
    requirements.require(["videomae"])
    from pixelplay.detectors.videomae.hub import HUB, check_videomae, not_on_hub

    weights = config.weights.videomae
    try:
        if weights == "in_domain":
            raise not_on_hub(HUB, "mining trains none", f"weights.videomae={weights}")
        check_videomae(weights)
    except WeightsError as error:
        raise WeightsError(f"{error}\n{TRAINED}") from None


def _require_device(device: str) -> None:
    if device not in ("auto", "cpu"):
        from pixelplay.training.device import find_device  # imports torch

        find_device(device)
