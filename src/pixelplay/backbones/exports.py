"""The contract of detectors whose networks can be computed by other libraries than PyTorch, see `pixelplay.export`."""

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from pixelplay.backbones.frozen import Backbone

AREA = "the whole frame by area averaging (OpenCV's INTER_AREA)"
GREY = "0.299 R + 0.587 G + 0.114 B, rounded, before the frame is resized"

Network = Callable[..., Any]
Words = Mapping[str, Any]  # JSON


@dataclass(frozen=True, eq=False)
class Exported:
    """A network of a trained detector in float32, and what its use elsewhere takes.

    module: in eval mode, tensors in, a tensor or a tuple of them out; the first axis of each is the batch. inputs,
    outputs: in order, by name what they are: axes, range, colours. example: so many random inputs. use: puts a function
    of the same tensors in the network's place, in the detector. weights: `hash_of_weights` of what it computes with.
    preprocessing, postprocessing: how inputs are made of frames, and scores of outputs. axes: of inputs and outputs by
    name the axes other than the first whose length varies, and what it is.
    """

    module: nn.Module
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    example: Callable[[int], tuple[torch.Tensor, ...]]
    use: Callable[[Network], None]
    weights: str
    preprocessing: Words
    postprocessing: Words
    axes: Mapping[str, Mapping[int, str]] = field(default_factory=dict)


@runtime_checkable
class Exports(Protocol):
    """A detector with networks that can be exported."""

    def networks(self) -> Mapping[str, Exported]:
        """By name, of the trained detector; names are parts of file names."""
        ...


class Function(nn.Module):
    """A function that uses the parameters of `owner`, as a module."""

    def __init__(self, owner: nn.Module, function: Network):
        super().__init__()
        self.owner, self._function = owner, function

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self._function(*inputs)


def in_place_of(owner: Any, method: str = "forward") -> Callable[[Network], None]:
    """What `Exported.use` is where the network is called by a method of an object: only this object gets another."""
    return partial(setattr, owner, method)


def of_backbone(backbone: Backbone, size: int, preprocessing: Words, postprocessing: Words) -> Exported:
    """A frozen backbone that sees squares of `size` pixels; it normalises colours itself."""
    module = copy(backbone)
    module._bf16 = False
    return Exported(
        module=module,
        inputs={"images": "(N, 3, height, width): RGB in [0, 1]"},
        outputs={
            "first": "(N, channels, height / 8, width / 8): maps of the stage of stride 8",
            "second": "(N, channels, height / 16, width / 16): maps of the stage of stride 16",
        },
        example=lambda count: (torch.rand(count, 3, size, size),),
        use=in_place_of(backbone),
        weights=backbone.identity["weights"],
        preprocessing={"resize": f"to {size} x {size} by RoIAlign (adaptive sampling, aligned)", **preprocessing},
        postprocessing=postprocessing,
    )
