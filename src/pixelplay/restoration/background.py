"""Flipped frames without learning: is a frame nearer to the video's background, or to the background flipped?

The distance of two frames is taken up to a change of brightness, which clouds and automatic exposure cause:
d(x, y) = min over c of sum |x - y - c|. With b the background and b' the background flipped, a frame f has

    evidence(f) = (d(f, b') - d(f, b)) / d(b, b')        in [-1, 1], by the triangle inequality
    P(flipped)  = sigmoid(-SLOPE (evidence + MARGIN))

The evidence is the part of the scene's difference between above and below that speaks for upright, less the part that
speaks for flipped: 1 for the background itself, -1 for it flipped, near 0 for what has nothing to do with it, so that
somebody who hides half of the view halves it.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from pixelplay.videos.background import evenly_spaced, median_frame
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video

MEDIAN_FRAMES = 200  # evenly spaced, that a background is the median of: bounds the memory
PROBES = 8  # evenly spaced frames by which a reference is chosen
SAME_SCENE = 0.5  # |evidence| of the median frame from which on a background is that of the video's scene
SLOPE = 10.0
MARGIN = 0.2  # in doubt a frame is left as it is
CHUNK = 256  # frames compared at a time


def backgrounds(videos: Sequence[Video], frame_format: FrameFormat) -> list[np.ndarray]:
    """The median background of each video that is known to be upright, float32 (H, W): references for others."""
    return [_median(video.frames(frame_format)) for video in videos]


def flip_evidence(frames: np.ndarray, references: Sequence[np.ndarray] = ()) -> np.ndarray:
    """P(flipped), float32 [T] in (0, 1), of a video's grey frames, uint8 [T, H, W] (memory-mapped, for instance).

    `references`: upright backgrounds (H, W) of training footage. One of the same scene says which way is up, so that
    it does not matter how many frames are flipped; without one, most frames are taken to be upright, and a video in
    which most are flipped is turned the wrong way round. Where the frames do not agree with any background, their own
    neither (the camera moves, the scene is its own mirror image), nothing speaks for a flip.
    """
    start = _same_scene(frames, references)
    background = _median(frames) if start is None else start
    # Once more with a background of the video's own: of its light, and no longer mixed with flipped frames.
    background = _median(frames, evidence(frames, background) < 0)
    values = evidence(frames, background)
    if np.median(np.abs(values)) < SAME_SCENE:
        values = np.zeros_like(values)
    return (1 / (1 + np.exp(SLOPE * (values + MARGIN)))).astype(np.float32)


def evidence(frames: np.ndarray, background: np.ndarray) -> np.ndarray:
    """As above, float32 [T]; 0 where the background is its own mirror image."""
    upside_down = background[::-1]
    scale = float(_distances(upside_down[None], background)[0])
    if scale == 0:
        return np.zeros(len(frames), np.float32)
    parts = [_distances(part, upside_down) - _distances(part, background) for part in _chunks(frames)]
    return np.concatenate(parts) / np.float32(scale)


def _same_scene(frames: np.ndarray, references: Sequence[np.ndarray]) -> np.ndarray | None:
    """The reference that the frames, whichever way up, agree with most, if they agree enough."""
    probes = frames[evenly_spaced(len(frames), PROBES)]
    agreement = [float(np.median(np.abs(evidence(probes, reference)))) for reference in references]
    if not agreement or max(agreement) < SAME_SCENE:
        return None
    return references[int(np.argmax(agreement))]


def _median(frames: np.ndarray, flipped: np.ndarray | None = None) -> np.ndarray:
    """Median background, float32 (H, W), of frames of which those marked are turned upright."""
    return median_frame(frames, MEDIAN_FRAMES, flipped).astype(np.float32)


def _distances(frames: np.ndarray, other: np.ndarray) -> np.ndarray:
    """d of each frame to `other`; the best change of brightness is the median difference. float32 [T]."""
    difference = (frames - other).reshape(len(frames), -1)
    difference -= np.median(difference, axis=1, keepdims=True)
    return np.abs(difference, out=difference).sum(axis=1)


def _chunks(frames: np.ndarray) -> Iterator[np.ndarray]:
    return (frames[i : i + CHUNK].astype(np.float32) for i in range(0, len(frames), CHUNK))
