"""Which frames of a video are flipped top to bottom: the network, the background, or both voting."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pixelplay.restoration.background import flip_evidence
from pixelplay.restoration.flip_network import FlipNetwork
from pixelplay.restoration.settings import RestoreConfig
from pixelplay.videos.video import Video

MOST_TRUST = 0.98  # of 1; the network is as sure of itself in a scene that it was never trained on


@dataclass(frozen=True)
class Judgement:
    probability: np.ndarray  # P(flipped), float32 [T]
    flipped: np.ndarray  # whether the probability is above the threshold, bool [T]


def judge(
    video: Video, network: FlipNetwork | None, references: Sequence[np.ndarray], config: RestoreConfig
) -> Judgement:
    """Judge every frame of `video` as `config.flip` says; with `none`, all are upright.

    `network` is needed for `network` and `both`, `references` (upright backgrounds, see `flip_evidence`) are of use
    for `background` and `both`. Raises ValueError where the network is missing.
    """
    if config.flip == "none":  # nobody asked for the frames in the size for judging, so there are none
        return Judgement(np.zeros(len(video), np.float32), np.zeros(len(video), bool))
    frames = video.frames(config.frames)
    if config.flip == "background":
        probability = flip_evidence(frames, references)
    elif network is None:
        raise ValueError(f"restore.flip={config.flip} needs a trained flip network")
    elif config.flip == "network":
        probability = network.probability(frames)
    else:
        trust = min(network.heldout.overall, MOST_TRUST)
        probability = vote(network.probability(frames), trust, flip_evidence(frames, references))
    return Judgement(probability, probability > config.threshold)


def vote(network: np.ndarray, trust: float, background: np.ndarray) -> np.ndarray:
    """P(flipped), float32 [T], whose log-odds are the mean of those of the two judges.

    The network's are limited to those of a judge who is right with probability `trust` (its held-out accuracy): up to
    3.9. A background that fits is surer than that (6 and more either way in the real footage of benchmarks/flips.py),
    and has the last word in a static scene, also where the network was trained on others. Where the camera moves or the
    scene is its own mirror image, the background says -2, upright in doubt, and it takes a sure network to outvote it.
    """
    trust = max(trust, 0.5)  # worse than chance is no evidence for the contrary
    odds = (_log_odds(np.clip(network, 1 - trust, trust)) + _log_odds(background)) / 2
    return (1 / (1 + np.exp(-odds))).astype(np.float32)


def _log_odds(probability: np.ndarray) -> np.ndarray:
    exact = probability.astype(np.float64)
    return np.log(exact) - np.log1p(-exact)
