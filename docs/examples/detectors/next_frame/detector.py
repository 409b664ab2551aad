"""A network of two convolutions predicts each frame from the one before; the score is its error."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from pixelplay.backbones.state_dict import load_network, save_network
from pixelplay.detectors.base import About, Scores, identity_of, load_about, save_about
from pixelplay.detectors.stream import MomentScores
from pixelplay.settings import Channels, Natural, Rate, Settings, validate
from pixelplay.videos.windows import CausalWindow, causal_windows

BATCH = 32  # frames


class Training(Settings):
    channels: Channels
    steps: Natural
    learning_rate: Rate


class NextFrame:
    def __init__(self, name, config, device):
        self.name, self._config, self._device = name, config, device
        self._training = check(name, config)
        channels = self._training.channels
        layers = nn.Conv2d(1, channels, 5, padding=2), nn.ReLU(), nn.Conv2d(channels, 1, 5, padding=2)
        self._network = nn.Sequential(*layers).to(device)

    def fit(self, videos, heldout, run):
        torch.manual_seed(run.seed)
        self._network.apply(lambda layer: layer.reset_parameters() if isinstance(layer, nn.Conv2d) else None)
        pairs = torch.cat([self._pairs(video) for video in videos])  # (N, 2, H, W)
        optimizer = torch.optim.Adam(self._network.parameters(), self._training.learning_rate)
        for _ in range(self._training.steps):
            before, after = pairs[torch.randint(len(pairs), (BATCH,))].to(self._device).split(1, dim=1)
            optimizer.zero_grad()
            F.mse_loss(self._network(before), after).backward()
            optimizer.step()

    def score(self, video, causal=False):
        errors = [self._errors(pairs) for pairs in self._pairs(video).split(BATCH)]
        return Scores({self.name: np.concatenate(errors)}).check(video, self.name)

    def stream(self, footage):
        return NextFrameStream(self.name, self._config.frames, self._errors)

    def save(self, folder):
        save_network(self._network, folder / "weights.safetensors")
        count = sum(p.numel() for p in self._network.parameters())
        save_about(folder, About(name=self.name, bf16=False, parameters=count), identity_of(self._config))

    def load(self, folder):
        load_about(folder, identity_of(self._config))
        load_network(self._network, folder / "weights.safetensors", made_by="train")

    def _pairs(self, video):
        """Each frame after the one before it, the first after itself, float32 (T, 2, H, W) in [0, 1]."""
        frames = np.array(video.frames(self._config.frames))
        return as_pairs(frames[causal_windows(len(frames), 2, 1)])

    @torch.inference_mode()
    def _errors(self, pairs):
        before, after = pairs.to(self._device).split(1, dim=1)
        return (self._network(before) - after).square().mean(dim=(1, 2, 3)).cpu().numpy()


class NextFrameStream:
    """Keeps the frame before."""

    stride = 1

    def __init__(self, name, frames, errors):
        self._name, self._frames, self._errors = name, frames, errors
        self._pairs = CausalWindow(2, self.stride)

    def step(self, moment):
        pair = self._pairs.add(moment.frames[self._frames])  # the first frame after itself
        return MomentScores({self._name: float(self._errors(as_pairs(np.stack(pair)[None]))[0])})


def as_pairs(frames):
    return torch.from_numpy(frames).float().div_(255)


build = NextFrame


def check(name, config):
    return validate(Training, config.training, f"detectors.{name}.training")
