"""Frozen convolutional networks as feature extractors: images in, feature maps at strides 8 and 16 out.

VideoPatchCore's is CLIP's RN101 (Radford et al., ICML 2021). `pretrained` builds them with their weights.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence

import torch
from torch import fx, nn
from torch.fx.experimental.optimization import fuse
from torch.fx.proxy import TraceError

STRIDES = (8, 16)  # 28x28 and 14x14 for images of 224x224


class Backbone(nn.Module):
    """A network frozen in eval mode, preceded by its normalisation, with batch norms folded into convolutions.

    stages: maps normalised images to feature maps at the two STRIDES. mean, std: per channel of RGB in [0, 1]. bf16:
    compute in bfloat16.
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

    layers: blocks per stage, the last of which is not used; width: channels of the stem. The stages have 8 and 16 times
    as many channels.
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
        if name.endswith("num_batches_tracked"):  # used in training only
            continue
        values = tensor.detach().cpu().float().contiguous()
        digest.update(f"{name} {tuple(values.shape)}\n".encode())
        digest.update(values.numpy().data)
    return digest.hexdigest()


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """A copy with batch norms folded into the convolutions before them.

    The network must be in eval mode; float32 results differ by rounding. Networks that torch.fx can't trace, or that
    use a layer more than once, are returned unchanged: correct, but slower.
    """
    try:
        graph = fx.symbolic_trace(network)
    except (TraceError, TypeError, ValueError, RuntimeError, AttributeError):  # control flow on tensors
        return network
    calls = Counter(node.target for node in graph.graph.nodes if node.op == "call_module")
    shared = [graph.get_submodule(str(target)) for target, count in calls.items() if count > 1]
    if any(isinstance(layer, nn.Conv2d | nn.BatchNorm2d) for layer in shared):
        return network
    return fuse(graph, no_trace=True)
