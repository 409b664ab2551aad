"""Corruption of test frames as in the Pixel Play '26 competition: single frames flipped, noisy or missing.

The rates and standard deviations of `CorruptionConfig` were estimated from the competition's frames.
"""

import numpy as np

from pixelplay.videos.settings import CorruptionConfig

KINDS = ("none", "flip", "heavy", "light", "missing")


def draw_kinds(count: int, config: CorruptionConfig, rng: np.random.Generator) -> np.ndarray:
    """The corruption of each of `count` frames, drawn independently: (count,) str, entries of `KINDS`.

    Raises ValueError for a negative `count`.
    """
    if count < 0:
        raise ValueError(f"count={count}: the number of frames can't be negative")
    corrupted = [config.flip, config.heavy, config.light, config.missing]
    shares = np.array([max(0.0, 1.0 - sum(corrupted)), *corrupted])
    return rng.choice(np.array(KINDS), size=count, p=shares / shares.sum())


def corrupt(frame: np.ndarray, kind: str, config: CorruptionConfig, rng: np.random.Generator) -> np.ndarray:
    """A frame, (H, W) or (H, W, 3) uint8, with one kind of corruption; never changed in place.

    'none' returns the frame itself, 'flip' turns it top to bottom, 'heavy' and 'light' add zero-mean Gaussian noise of
    `heavy_sd` or `light_sd` grey levels, drawn for every frame, pixel and channel, and clip to 0..255. Raises
    ValueError for any other kind, 'missing' included (the caller leaves such a frame out), and for a wrong array.
    """
    if frame.dtype != np.uint8 or frame.ndim not in (2, 3):
        raise ValueError(f"frame is {frame.dtype} of shape {frame.shape}; it must be uint8, (H, W) or (H, W, 3)")
    match kind:
        case "none":
            return frame
        case "flip":
            return np.ascontiguousarray(frame[::-1])
        case "heavy" | "light":
            sd = config.heavy_sd if kind == "heavy" else config.light_sd
            noise = rng.standard_normal(frame.shape, dtype=np.float32) * np.float32(sd)
            return np.clip(np.rint(frame + noise), 0, 255).astype(np.uint8)
        case "missing":
            raise ValueError("kind='missing': a missing frame has no pixels; leave it out instead of corrupting it")
    raise ValueError(f"kind={kind!r} is unknown; allowed here: {', '.join(k for k in KINDS if k != 'missing')}")
