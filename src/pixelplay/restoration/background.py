"""Flipped frames without learning: is a frame nearer to the video's background, or to the background flipped?

The distance d(x, y) = min over c of sum |x - y - c| ignores changes of brightness (clouds, automatic exposure). With b
the background and b' the background flipped, a frame f has

    evidence(f) = (d(f, b') - d(f, b)) / d(b, b')        in [-1, 1], by the triangle inequality
    P(flipped)  = sigmoid(-SLOPE (evidence + MARGIN))

It is 1 for the background itself, -1 for it flipped, near 0 for unrelated frames, and halved if half of the view is
hidden.

Causally, when no later frame is known, each frame is judged by itself: by the backgrounds of other videos alone.
"""

from collections.abc import Sequence

import numpy as np

from pixelplay.videos.background import evenly_spaced, median_frame
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.video import Video

MEDIAN_FRAMES = 200  # evenly spaced, for the median background: bounds the memory
PROBES = 8  # evenly spaced frames by which a reference is chosen
SAME_SCENE = 0.5  # median |evidence|, at least, of a background of the same scene
SLOPE = 10.0
MARGIN = 0.2  # in doubt a frame is upright
CHUNK = 256  # frames compared at a time


def backgrounds(videos: Sequence[Video], frame_format: FrameFormat) -> list[np.ndarray]:
    """The median background of each (upright) video, float32 (H, W): references for others."""
    return [_median(video.frames(frame_format)) for video in videos]


def flip_evidence(frames: np.ndarray, references: Sequence[np.ndarray] = ()) -> np.ndarray:
    """P(flipped), float32 [T] in (0, 1), of a video's grey frames, uint8 [T, H, W] (memory-mapped, for instance).

    `references`: upright backgrounds (H, W). One of the same scene tells which way is up; without one, most frames are
    taken to be upright. Where frames do not even agree with their own (the camera moves), none is taken to be flipped.
    """
    background = _same_scene(frames, references)
    if background is None:
        background = _median(frames)
    # Again with the video's own background: in its own light, and no longer mixed with flipped frames.
    background = _median(frames, evidence(frames, background) < 0)
    values = evidence(frames, background)
    if np.median(np.abs(values)) < SAME_SCENE:
        values = np.zeros_like(values)
    return _probability(values)


class References:
    """Upright backgrounds by which single frames are judged."""

    def __init__(self, backgrounds: Sequence[np.ndarray]):
        known = [one for one in backgrounds if _distances(one[::-1][None], one)[0] > 0]  # no mirror images
        self._upright = np.stack(known).astype(np.float32) if known else np.empty((0, 1, 1), np.float32)  # (R, H, W)
        self._turned = np.ascontiguousarray(self._upright[:, ::-1])
        self._scale = np.array([_distances(one[::-1][None], one)[0] for one in known], np.float32)

    def flip_evidence(self, frames: np.ndarray) -> np.ndarray:
        """P(flipped), float32 [T], of each of the grey frames, uint8 [T, H, W], by itself: by the background with the
        largest |evidence|. Where none is of the same scene, the evidence is 0.
        """
        return _probability(np.array([self._evidence(frame) for frame in frames], np.float32))

    def _evidence(self, frame: np.ndarray) -> np.float32:
        if not len(self._scale):
            return np.float32(0)
        values = (_distances(self._turned, frame) - _distances(self._upright, frame)) / self._scale
        best = values[np.abs(values).argmax()]
        return best if abs(best) >= SAME_SCENE else np.float32(0)


def _probability(evidence: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(SLOPE * (evidence + MARGIN)))).astype(np.float32)


def evidence(frames: np.ndarray, background: np.ndarray) -> np.ndarray:
    """As above, float32 [T]; 0 where the background is its own mirror image."""
    upside_down = background[::-1]
    scale = float(_distances(upside_down[None], background)[0])
    if scale == 0:
        return np.zeros(len(frames), np.float32)
    chunks = (frames[i : i + CHUNK].astype(np.float32) for i in range(0, len(frames), CHUNK))
    parts = [_distances(part, upside_down) - _distances(part, background) for part in chunks]
    return np.concatenate(parts) / np.float32(scale)


def _same_scene(frames: np.ndarray, references: Sequence[np.ndarray]) -> np.ndarray | None:
    """The reference with the largest |evidence|, if it is of the same scene."""
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
