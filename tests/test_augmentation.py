"""What the autoencoders are fed in training: noise and flips as configured, and the right target."""

import math

import pytest
import torch
from tests.pipeline import DENOISING, SOURCE, trainer_config
from torch import nn

from pixelplay.training.clips import Augmentation
from pixelplay.training.fit import Reconstruction

GREY, CLIPS = 128 / 255, 2000


class Recorder(nn.Module):
    """A network that gives back what it is fed, and keeps it."""

    memory_format = torch.channels_last

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.fed = x
        return x * self.scale


def fed_clips(level: int, augmentation: Augmentation = SOURCE, step: int = 0, seed: int = 0):
    """What the network is fed of 2,000 plain clips (2000, 2, 4, 4) in a training step, and that step's loss."""
    network = Recorder()
    module = Reconstruction(network, augmentation, trainer_config(), seed)
    loss = module.training_step(torch.full((CLIPS, 2, 4, 4), level, dtype=torch.uint8), step)
    return network.fed, loss.item()


def of_a_share(share: float):
    """Within four standard deviations of a share of 2,000 draws."""
    return pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / CLIPS))


pytestmark = pytest.mark.filterwarnings("ignore:You are trying to .self.log")


def test_40_of_100_clips_get_noise_and_60_are_fed_as_they_are():
    fed, _ = fed_clips(128)
    assert float((fed != GREY).flatten(1).any(dim=1).float().mean()) == of_a_share(0.4)


@pytest.mark.parametrize("augmentation", [SOURCE, DENOISING], ids=["conv_ae", "denoising_ae"])
def test_noise_is_uniform_between_plus_and_minus_its_amplitude(augmentation):
    fed, _ = fed_clips(128, augmentation)
    noise = (fed - GREY)[(fed != GREY).flatten(1).any(dim=1)]
    amplitude = augmentation.noise_amplitude
    assert amplitude * 0.99 < float(noise.max()) <= amplitude + 1e-6
    assert -amplitude - 1e-6 <= float(noise.min()) < -amplitude * 0.99
    assert float(noise.mean()) == pytest.approx(0, abs=0.003)
    assert float(noise.std()) == pytest.approx(amplitude / math.sqrt(3), rel=0.02)  # of a uniform distribution


@pytest.mark.parametrize("level", [0, 255])
def test_noisy_clips_stay_between_0_and_1(level):
    fed, _ = fed_clips(level)
    assert 0 <= float(fed.min()) <= float(fed.max()) <= 1
    assert float((fed != level / 255).float().mean()) == pytest.approx(0.4 / 2, abs=0.03)  # half is cut off


def test_the_target_fed_is_the_clip_with_its_noise():
    fed, loss = fed_clips(128)
    assert not torch.equal(fed, torch.full_like(fed, GREY))
    assert loss == 0  # the network returned what it was fed


def test_the_target_clean_is_the_clip_without_and_every_clip_is_noisy():
    fed, loss = fed_clips(128, DENOISING)
    assert (fed != GREY).flatten(1).any(dim=1).all()
    assert loss == pytest.approx(float((fed - GREY).square().mean()), rel=1e-5)
    assert loss == pytest.approx(0.157**2 / 3, rel=0.02)  # the variance of that noise


@pytest.mark.parametrize("target", ["noisy", "clean"])
def test_flipped_clips_are_flipped_top_to_bottom_with_their_target(target):
    clips = torch.arange(CLIPS * 2 * 3 * 4).reshape(CLIPS, 2, 3, 4) / (CLIPS * 24)
    torch.manual_seed(0)
    fed, goal = Augmentation(0.0, 0.0, target, vertical_flip=0.25).apply(clips.clone())
    flipped = (fed == clips.flip(2)).flatten(1).all(dim=1)
    assert float(flipped.float().mean()) == of_a_share(0.25)
    assert torch.equal(fed[~flipped], clips[~flipped])
    assert torch.equal(fed, goal)


def test_nothing_is_flipped_unless_asked_for():
    clips = torch.rand(50, 2, 3, 4)
    fed, _ = Augmentation(0.0, 1.0, "noisy", 0.0).apply(clips.clone())
    assert torch.equal(fed, clips)


def test_noise_depends_on_seed_and_step_alone():
    first, _ = fed_clips(128, step=3, seed=1)
    torch.rand(7)  # whatever else drew numbers meanwhile
    again, _ = fed_clips(128, step=3, seed=1)
    assert torch.equal(first, again)
    assert not torch.equal(first, fed_clips(128, step=4, seed=1)[0])
    assert not torch.equal(first, fed_clips(128, step=3, seed=2)[0])
