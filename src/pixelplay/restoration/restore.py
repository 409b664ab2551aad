"""Puts corrupted frames of test videos right, in a second layer over the frame cache, whose arrays stay untouched."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pixelplay.restoration.flip_network import FlipNetwork
from pixelplay.restoration.flips import judge
from pixelplay.restoration.settings import RestoreConfig
from pixelplay.run.atomic import atomic
from pixelplay.run.fingerprints import fingerprint
from pixelplay.run.locks import turn
from pixelplay.videos.full_size import put_right
from pixelplay.videos.noise import noise_after_resize
from pixelplay.videos.npy_writer import FrameWriter, frames_in
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video, format_name

VERSION = 1  # of what a restored array holds; raise it when restoring changes


@dataclass(frozen=True)
class Restoration:
    """What was found in one video and done about it."""

    before: Video  # as decoded
    after: Video  # with its restored frames, or `before` itself where nothing was wrong
    probability: np.ndarray  # P(flipped), float32 [T]
    flipped: np.ndarray  # turned back, bool [T]
    denoised: np.ndarray  # bool [T]

    def table(self, method: str) -> pd.DataFrame:
        """A row per frame: video, frame, flip_probability, noise_level, flipped, denoised (the method, or empty).

        After the frame, where they are known, seconds.
        """
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


def restore(
    video: Video,
    network: FlipNetwork | None,
    references: Sequence[np.ndarray],
    config: RestoreConfig,
    formats: Sequence[FrameFormat],
) -> Restoration:
    """Judge every frame of `video` and store what was put right, in every format, beside the video's own arrays.

    `references`: upright backgrounds, see `pixelplay.restoration.background`. The same judgement is stored only once.
    """
    judgement = judge(video, network, references, config)
    denoised = np.zeros(len(video), bool)
    if config.denoise.method != "none":
        denoised = video.noise > config.noise_above
    after = video
    if judgement.flipped.any() or denoised.any():
        key = fingerprint(VERSION, judgement.flipped.tolist(), denoised.tolist(), config.denoise.method)
        noise = np.where(denoised, video.noise, 0).astype(np.float32)
        folder = video.folder / f"restored-{key}"
        with turn(folder, f"restored video {video.id}"):
            missing = [f for f in formats if frames_in(folder / f"{format_name(f)}.npy", f) != len(video)]
            _write(video, folder, judgement.flipped, noise, config.denoise.method, missing)
        originals = video.originals
        after = replace(
            video,
            restored=folder,
            key=fingerprint(video.key, key),
            originals=originals.restored(judgement.flipped, noise, config.denoise.method) if originals else None,
        )
    return Restoration(video, after, judgement.probability, judgement.flipped, denoised)


def _write(
    video: Video,
    folder: Path,
    flipped: np.ndarray,
    noise: np.ndarray,  # in the original size; 0 where a frame is not denoised
    denoiser: str,
    formats: Sequence[FrameFormat],
) -> None:
    with ExitStack() as stack:
        paths = [stack.enter_context(atomic(folder / f"{format_name(f)}.npy")) for f in formats]
        writers = [stack.enter_context(FrameWriter(p, f)) for p, f in zip(paths, formats, strict=True)]
        for writer in writers:
            frames = video.frames(writer.format)
            for t in range(len(video)):
                level = noise_after_resize(float(noise[t]), video.size, writer.format)
                writer.append(put_right(frames[t], bool(flipped[t]), level, denoiser))
