"""The networks of the temporal masked autoencoder for other libraries than PyTorch: what a map is turned into once,
what goes over each window of a track, and the two heads.
"""

from collections.abc import Callable

import torch

from pixelplay.backbones.exports import Exported, Function, Network, in_place_of
from pixelplay.backbones.frozen import hash_of_weights
from pixelplay.detectors.temporal_mae.network import TemporalMAE

ABOUT = {
    "maps": "of an object's box, of the source and cells that objects.features names; a step is a frame of its track, "
    "one without a map is not valid",
}
SCORES = {
    "reconstruction": "mean of (reconstruction of a step that alone is hidden - its target) ** 2",
    "embedding": "1 - cosine of the embeddings of the window's last two valid steps, with no step hidden",
    "score": "both on the scale of calibration.parquet, weighted, averaged along the track: see docs/detectors.md",
}


def exported(model: TemporalMAE) -> dict[str, Exported]:
    channels, (length, width) = len(model.mean), model.positions.shape
    weights = hash_of_weights(model)

    def one(
        function: Network,
        inputs: dict[str, str],
        outputs: dict[str, str],
        example: Callable[[int], tuple[torch.Tensor, ...]],
        use: Callable[[Network], None],
    ) -> Exported:
        axes = {"maps": {2: "rows", 3: "columns"}}
        return Exported(Function(model, function), inputs, outputs, example, use, weights, ABOUT, SCORES, axes)

    tokens, encode, embed = model.tokens, model.encode, model.embed  # not what may be put in their place later
    targets, reconstruction = model.targets, model.reconstruction.forward
    encoded = {"encoded": "(N, width): of one step"}
    return {
        "tokens": one(
            lambda maps: (tokens(maps), targets(maps)),
            {"maps": "(N, channels, rows, columns): as they come"},
            {"tokens": "(N, width)", "targets": "(N, channels): what is reconstructed of each"},
            lambda count: (torch.rand(count, channels, 3, 3),),
            lambda network: in_place_of(model, "tokens")(_first_of_maps(network)),
        ),
        "encoder": one(
            encode,
            {
                "tokens": "(N, window, width): 0 where there is none",
                "valid": "(N, window): where there is one, at least once in a window",
                "hidden": "(N, window): which are not to be seen",
            },
            {"encoded": "(N, window, width)"},
            lambda count: _windows(count, length, width),
            in_place_of(model, "encode"),
        ),
        "reconstruction": one(
            reconstruction,
            encoded,
            {"reconstruction": "(N, channels)"},
            lambda count: (torch.randn(count, width),),
            lambda network: in_place_of(model.reconstruction)(_of_steps(network)),
        ),
        "embedding": one(
            embed,
            encoded,
            {"embedding": "(N, size): on the unit sphere"},
            lambda count: (torch.randn(count, width),),
            lambda network: in_place_of(model, "embed")(_of_steps(network)),
        ),
    }


def _windows(count: int, length: int, width: int) -> tuple[torch.Tensor, ...]:
    """Random tokens; the first step of every window is missing, the last one hidden."""
    step = torch.arange(length).repeat(count, 1)
    return torch.randn(count, length, width), step > 0, step == length - 1


def _first_of_maps(network: Network) -> Network:
    """The first output, (..., d), for maps (..., C, S, S)."""
    return lambda maps: network(maps.flatten(0, -4))[0].unflatten(0, maps.shape[:-3])


def _of_steps(network: Network) -> Network:
    """The network on steps (..., d)."""
    return lambda encoded: network(encoded.flatten(0, -2)).unflatten(0, encoded.shape[:-1])
