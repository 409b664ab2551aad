"""Judges which frames of a test video are flipped and noisy, and stores the corrected frames in a second layer over the
frame cache, whose own arrays stay as decoded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from pixelplay.restoration.background import References, flip_evidence
from pixelplay.restoration.flip_network import FlipNetwork
from pixelplay.restoration.settings import RestoreConfig
from pixelplay.run.atomic import atomic
from pixelplay.run.fingerprints import fingerprint
from pixelplay.run.locks import turn
from pixelplay.videos.corruption import noise_after_resize
from pixelplay.videos.npy_writer import FrameWriter, has_frames
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video, format_name, put_right

VERSION = 1  # of what a restored array holds; raise it when restoring changes
MOST_TRUST = 0.98  # of 1; the network is as sure of itself in a scene that it was never trained on


@dataclass(frozen=True)
class Restoration:
    """What was found in one video and corrected."""

    before: Video  # as decoded
    after: Video  # with its restored frames; `before` itself where nothing was corrected
    probability: np.ndarray  # P(flipped), float32 [T]
    flipped: np.ndarray  # turned back, bool [T]
    denoised: np.ndarray  # bool [T]

    def table(self, method: str) -> pd.DataFrame:
        """A row per frame; `method` is what the last column says of denoised frames, while it is empty for others."""
        return pd.DataFrame(
            {
                "video": self.before.id,
                "frame": self.before.numbers,
                **({} if self.before.seconds is None else {"seconds": self.before.seconds}),
                "flip_probability": self.probability.astype(np.float64).round(6),
                "noise_level": self.before.noise,
                "flipped": self.flipped.astype(int),
                "denoised": np.where(self.denoised, method, ""),
            }
        )


def judge(
    video: Video,
    network: FlipNetwork | None,
    references: Sequence[np.ndarray],
    config: RestoreConfig,
    causal: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """P(flipped), float32 [T], of the frames of `video`, and whether it is above `config.threshold`, bool [T].

    `config.flip` names the judges (with `none`, no frame is flipped): the `network`, the background, which is compared
    with `references` (see `flip_evidence`), or both. With `causal` as `FrameJudge` does, frame by frame. Raises
    ValueError where the network is missing.
    """
    if config.flip == "none":  # then the cache has no frames in the size for judging
        return np.zeros(len(video), np.float32), np.zeros(len(video), bool)
    frames = video.frames(config.frames)
    if causal:
        alone = FrameJudge(network, references, config)
        probability = np.array([alone.probability(frame) for frame in frames], np.float32)
    else:
        probability = _probability(frames, network, lambda frames: flip_evidence(frames, references), config)
    return probability, probability > config.threshold


class FrameJudge:
    """Judges single frames, each by itself; arguments as for `judge`."""

    def __init__(self, network: FlipNetwork | None, references: Sequence[np.ndarray], config: RestoreConfig):
        self._network, self._config = network, config
        self._references = References(references)

    def probability(self, frame: np.ndarray) -> np.float32:
        """P(flipped) of a frame in the working size `config.frames`, uint8 (H, W)."""
        return _probability(frame[None], self._network, self._references.flip_evidence, self._config)[0]

    def flipped(self, frame: np.ndarray) -> bool:
        return bool(self.probability(frame) > self._config.threshold)


def _probability(
    frames: np.ndarray,
    network: FlipNetwork | None,
    by_background: Callable[[np.ndarray], np.ndarray],
    config: RestoreConfig,
) -> np.ndarray:
    """P(flipped), float32 [T], of frames, uint8 [T, H, W], by the judges that the settings name."""
    if config.flip == "background":
        return by_background(frames)
    if network is None:
        raise ValueError(f"restore.flip={config.flip} needs a trained flip network")
    probability = network.probability(frames)
    if config.flip == "both":
        return vote(probability, min(network.heldout.overall, MOST_TRUST), by_background(frames))
    return probability


def vote(network: np.ndarray, trust: float, background: np.ndarray) -> np.ndarray:
    """P(flipped), float32 [T], whose log-odds are the mean of those of the two judges.

    The network's are limited to those of a judge who is right with probability `trust` (its held-out accuracy): at most
    3.9. A background that fits is surer (at least 6 in the real footage of benchmarks/flips.py), and decides in a
    static scene; where the camera moves or the scene is its own mirror image, it says -2, and a sure network decides.
    """
    trust = max(trust, 0.5)  # worse than chance is no evidence for the contrary
    trusted = np.clip(network, 1 - trust, trust)
    odds = (logit(trusted.astype(np.float64)) + logit(background.astype(np.float64))) / 2
    return expit(odds).astype(np.float32)


def restore(
    video: Video,
    network: FlipNetwork | None,
    references: Sequence[np.ndarray],
    config: RestoreConfig,
    formats: Sequence[FrameFormat],
    causal: bool = False,
) -> Restoration:
    """Judge every frame of `video` and store the corrected frames, in every format, beside the video's own arrays.

    Arguments as for `judge`. The same judgement is stored only once.
    """
    probability, flipped = judge(video, network, references, config, causal)
    levels, denoiser = np.zeros(len(video)) if video.noise is None else video.noise, config.denoise.method
    noise = removed(levels, config)
    denoised = noise > 0
    after = video
    if flipped.any() or denoised.any():
        key = fingerprint(VERSION, flipped.tolist(), denoised.tolist(), denoiser)
        folder = video.folder / f"restored-{key}"
        with turn(folder, f"restored video {video.id}"):
            _write(video, folder, flipped, noise, denoiser, formats)
        originals = video.originals and replace(video.originals, flipped=flipped, noise=noise, denoiser=denoiser)
        after = replace(video, restored=folder, key=fingerprint(video.key, key), originals=originals)
    return Restoration(video, after, probability, flipped, denoised)


def _write(
    video: Video,
    folder: Path,
    flipped: np.ndarray,
    noise: np.ndarray,  # in the original size; 0 where a frame is not denoised
    denoiser: str,
    formats: Sequence[FrameFormat],
) -> None:
    """Store the restored frames in the formats that `folder` does not hold yet."""
    for f in formats:
        array = folder / f"{format_name(f)}.npy"
        if has_frames(array, f, len(video)):
            continue
        with atomic(array) as path, FrameWriter(path, f) as writer:
            for t, frame in enumerate(video.frames(f)):
                writer.append(put_right_small(frame, bool(flipped[t]), float(noise[t]), denoiser, video.size, f))


def removed(levels: np.ndarray, config: RestoreConfig) -> np.ndarray:
    """Of frames with these noise levels, [T], those for which they are denoised, 0 for others: float32 [T]."""
    limit = config.noise_above if config.denoise.method != "none" else np.inf
    return np.where(levels > limit, levels, 0).astype(np.float32)


def put_right_small(
    frame: np.ndarray, flipped: bool, noise: float, denoiser: str, size: tuple[int, int], frame_format: FrameFormat
) -> np.ndarray:
    """As `put_right`, of a frame in a working size; `noise` is the level in the original `size` (width, height)."""
    return put_right(frame, flipped, noise_after_resize(noise, size, frame_format), denoiser)
