"""Frozen convolutional networks as feature extractors: images in, feature maps at strides 8 and 16 out, and local
descriptors from the two maps.

VideoPatchCore's is CLIP's RN101 (Radford et al., ICML 2021). `pretrained` builds them with their weights.
"""

import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from functools import cache

import torch
from torch import fx, nn
from torch.fx.proxy import TraceError
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pixelplay.errors import ConfigError

STRIDES = (8, 16)  # 28x28 and 14x14 for images of 224x224
BATCH_COUNTER = "num_batches_tracked"  # of a batch norm; used in training only


class Backbone(nn.Module):
    """A network frozen in eval mode, preceded by its normalisation, with batch norms folded into convolutions.

    stages: maps normalised images to feature maps at the two STRIDES. mean, std: per channel of RGB in [0, 1].
    identity: `backbone`, the name, and `weights`, a hash of their values, independent of file format and folding.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, name: str, stages: nn.Module, mean: Sequence[float], std: Sequence[float], bf16: bool):
        super().__init__()
        self.identity = {"backbone": name, "weights": hash_of_weights(stages)}
        self.stages = fold_batch_norms(stages.eval()).requires_grad_(False)
        self.stages.to(memory_format=torch.channels_last)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self._bf16 = bf16
        self.eval()

    def train(self, mode: bool = True) -> "Backbone":
        """Stay in eval mode, also inside a module that is trained."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Feature maps float32 (N, Ca, S / 8, S / 8) and (N, Cb, S / 16, S / 16) of RGB images (N, 3, S, S) in [0, 1].

        S must be a multiple of 16.
        """
        x = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self._bf16):
            first, second = self.stages(x)
        return first.float(), second.float()


class ClipStages(nn.Module):
    """layer2 and layer3 of CLIP's ResNet for normalised images, with random weights; parameters are named as in CLIP.

    layers: blocks per stage, the last of which is not used; width: channels of the stem, an 8th and a 16th of theirs.
    """

    def __init__(self, layers: Sequence[int], width: int):
        super().__init__()
        from open_clip.modified_resnet import ModifiedResNet  # slow to import

        self.visual = ModifiedResNet([*layers[:3], 1], output_dim=1, heads=1, width=width)
        del self.visual.layer4, self.visual.attnpool  # half of the parameters, a fifth of the computation

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.visual.stem(x)  # (N, 64, S / 4, S / 4)
        x = self.visual.layer1(x)  # (N, 256, S / 4, S / 4)
        first = self.visual.layer2(x)  # (N, 512, S / 8, S / 8)
        return first, self.visual.layer3(first)  # (N, 1024, S / 16, S / 16)


def hash_of_weights(network: nn.Module) -> str:
    """SHA-256 over names, shapes and values of a network's parameters and buffers, 64 hex digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if name.endswith(BATCH_COUNTER):
            continue
        values = tensor.detach().cpu().float().contiguous()
        digest.update(f"{name} {tuple(values.shape)}\n".encode())
        digest.update(values.numpy().data)
    return digest.hexdigest()


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """A copy in eval mode with batch norms folded into the convolutions before them, without the layers after the last
    output; float32 results round differently. Networks that torch.fx can't trace, or that use a layer more than once,
    are returned as they are: correct, but slower.
    """
    copy = deepcopy(network)  # tracing changes networks that collect their maps in hooks
    try:
        traced = fx.GraphModule(copy, _LayersAsLeaves().trace(copy))
    except (TraceError, TypeError, ValueError, RuntimeError, AttributeError):  # control flow on tensors
        return network
    calls = Counter(node.target for node in traced.graph.nodes if node.op == "call_module")
    shared = [traced.get_submodule(str(target)) for target, count in calls.items() if count > 1]
    output = traced.graph.output_node()
    if any(isinstance(layer, nn.Conv2d | nn.BatchNorm2d) for layer in shared) or not output.all_input_nodes:
        return network  # without inputs: hooks collect the maps, of which torch.fx knows nothing
    for node in reversed([*traced.graph.nodes][:-1]):  # the last is the output
        if node.users:
            break
        traced.graph.erase_node(node)  # timm's EfficientNets compute all stages, whichever are asked for
    for node in traced.graph.nodes:
        _fold(traced, node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


class _LayersAsLeaves(fx.Tracer):
    """Does not look into the convolutions and batch norms of other packages, some of which pad by the input's size."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.Conv2d | nn.BatchNorm2d) or super().is_leaf_module(m, module_qualified_name)


def _fold(traced: fx.GraphModule, node: fx.Node) -> None:
    """Fold a batch norm into the convolution before it, if the node is one and nothing else uses the convolution."""
    before = node.args[0] if node.op == "call_module" and node.args else None
    if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
        return
    convolution, norm = (traced.get_submodule(str(one.target)) for one in (before, node))
    if not (isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and norm.track_running_stats):
        return
    if {type(convolution), type(norm)} <= _foldable():
        traced.set_submodule(str(before.target), fuse_conv_bn_eval(convolution, norm))
        after = [getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)]  # of timm's
        traced.set_submodule(str(node.target), nn.Sequential(*after))


def _foldable() -> set[type[nn.Module]]:
    """Convolutions with weights as given, not standardised, and batch norms: PyTorch's, and where it is used timm's."""
    found: set[type[nn.Module]] = {nn.Conv2d, nn.BatchNorm2d}
    if "timm" in sys.modules:  # slow to import, and not needed by every run
        from timm.layers import BatchNormAct2d, Conv2dSame

        found |= {Conv2dSame, BatchNormAct2d}
    return found


def local_maps(first: torch.Tensor, second: torch.Tensor, channels: int) -> torch.Tensor:
    """Patch descriptors (N, channels, H, W) of crops from their stages, (N, Ca, H, W) and (N, Cb, H', W').

    Both stages are averaged over 3x3 neighbourhoods (no padding), resized to HxW by adaptive averaging, concatenated,
    and their Ca + Cb channels averaged in `channels` contiguous groups (Ahn et al.: CNL_POOL, 32). Averages over
    channels and over space commute, so channels come first: 32 maps to pool and resize instead of 1536.
    """
    count, size = first.shape[1] + second.shape[1], first.shape[-2:]
    if channels == count:
        maps = torch.cat([_pooled(stage, size) for stage in (first, second)], dim=2)
    else:
        weights = channel_groups(count, channels).to(first)
        both = zip((first, second), weights.split([first.shape[1], second.shape[1]], dim=1), strict=True)
        grouped = (torch.einsum("gc,nchw->nghw", weight, stage) for stage, weight in both)  # a group may span both
        maps = torch.add(*(_pooled(x, size) for x in grouped))
    return maps.unflatten(1, size).permute(0, 3, 1, 2)  # of (N, H * W, channels)


def channel_groups(count: int, groups: int) -> torch.Tensor:
    """The matrix float32 (groups, count) that averages `count` channels in contiguous groups, whose sizes differ by
    one at most. Raises ConfigError for more groups than channels.
    """
    if groups > count:
        raise ConfigError(f"patches.channels={groups} is more than the backbone's {count}: set it to {count} at most")
    group = torch.arange(count) * groups // count  # of each channel
    member = F.one_hot(group, groups).T.float()
    return member / member.sum(dim=1, keepdim=True)


def _pooled(x: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """(N, H * W, C): 3x3 averages of (N, C, H', W'), resized to `size` (H, W), in one matrix product: both are
    separable averages, so that it is several times faster than two poolings.
    """
    return _pooling(x.shape[-2:], size).to(x) @ x.flatten(2).transpose(1, 2)


@cache
def _pooling(given: torch.Size, wanted: torch.Size) -> torch.Tensor:
    """The matrix float32 (H * W, H' * W') that `_pooled` multiplies by: averages over 3 neighbours, no padding, then
    adaptive ones, along each side.
    """
    with torch.inference_mode(False):  # the cached matrix must serve training, too
        threes = [F.avg_pool1d(torch.eye(side)[None], 3, stride=1) for side in given]  # (1, side, side - 2)
        return torch.kron(*(F.adaptive_avg_pool1d(x, side)[0].T for x, side in zip(threes, wanted, strict=True)))
