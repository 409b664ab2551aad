"""How far an exported network is from PyTorch's, and the inputs on which that is measured."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from pixelplay.backbones.exports import Exported, Network
from pixelplay.videos.video import Video

LIMIT = 1e-4  # of the difference, absolute for values up to 1, relative above
BATCHES = (1, 5)
SEED = 0

Inputs = tuple[torch.Tensor, ...]


def random_inputs(network: Exported) -> Inputs:
    """The same at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return network.example(max(BATCHES))


def inputs_of(
    networks: Mapping[str, Exported], score: Callable[[Video], Any], videos: Sequence[Video]
) -> dict[str, Inputs]:
    """By network the inputs of its first call while videos are scored; of fewer networks where some were not called.

    The detector then computes its networks in float32.
    """
    seen: dict[str, Inputs] = {}

    def watched(name: str, original: Network) -> Network:
        def call(*inputs: torch.Tensor) -> Any:
            seen.setdefault(name, tuple(one.detach().cpu().clone() for one in inputs))
            if len(seen) == len(networks):
                raise _AllSeen
            return original(*inputs)

        return call

    originals = {name: one.module.forward for name, one in networks.items()}
    for name, one in networks.items():
        one.use(watched(name, originals[name]))
    try:
        for video in videos:
            score(video)
    except _AllSeen:
        pass
    finally:
        for name, one in networks.items():
            one.use(originals[name])
    return seen


class _AllSeen(Exception):
    """Ends the scoring of a video early."""


@torch.inference_mode()
def largest_difference(network: Exported, session: Network, inputs: Inputs) -> float:
    """Over outputs and batch sizes, of batches of these inputs; infinite where shapes differ or a value is none."""
    largest = 0.0
    for count in BATCHES:
        rows = torch.arange(count) % len(inputs[0])
        batch = tuple(one[rows].float() if one.is_floating_point() else one[rows] for one in inputs)
        own, other = (_tuple(function(*batch)) for function in (network.module.forward, session))
        for a, b in zip(own, other, strict=True):
            if a.shape != b.shape:
                return float("inf")
            apart = ((a.float() - b.float()).abs() / a.float().abs().clamp(min=1)).max()
            largest = max(largest, float(apart.nan_to_num(nan=torch.inf)))
    return largest


def _tuple(values: Any) -> Inputs:
    return values if isinstance(values, tuple) else (values,)
