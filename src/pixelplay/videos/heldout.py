"""Which normal footage no detector is fitted on: one seeded list per data set, shared by every detector.

Held-out footage gives the validation loss, calibrates scores, and later carries pseudo-anomalies.
"""

import math

import numpy as np

from pixelplay.config import HeldoutConfig
from pixelplay.videos.video import Video


def hold_out(videos: list[Video], config: HeldoutConfig) -> tuple[list[Video], list[Video]]:
    """Split training videos into (to fit, held out).

    With `min_videos` (and two) or more, whole videos are held out, never all of them; with fewer, one block of time of
    each video, at a random place, and what stands before and after it is fitted on. A one-frame video can't be split
    and is fitted on.
    """
    rng = np.random.default_rng(config.seed)
    if len(videos) >= max(config.min_videos, 2):
        count = min(max(1, round(config.share * len(videos))), len(videos) - 1)
        chosen = set(rng.choice(len(videos), count, replace=False).tolist())
        return (
            [video for i, video in enumerate(videos) if i not in chosen],
            [video for i, video in enumerate(videos) if i in chosen],
        )
    fit, held = [], []
    for video in videos:
        length = min(math.ceil(config.share * len(video)), len(video) - 1)
        start = int(rng.integers(0, len(video) - length + 1))
        stop = start + length
        if length:
            held.append(video.block(start, stop))
        fit += [video.block(a, b) for a, b in ((0, start), (stop, len(video))) if a < b]
    return fit, held
