"""Things cut out of footage along the edge of what moves, without an object detector: walkers with their gait."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pixelplay.objects.boxes import overlap
from pixelplay.synthetic.pseudo.motion_mask import Blob, Survey, blurred, difference
from pixelplay.synthetic.pseudo.paste import paste

MARGIN = 2  # pixels around a cut-out
RIM = 3  # pixels, side of the square that erodes what the blur of the scene added around a thing
FEATHER = 0.8  # pixels, sigma of the soft edge
GROWTH = 1.5  # a region that grows or shrinks by this factor has met another, or lost a part
STRIDE = 0.5  # of its own width: what a thing must move, from its first frame to its last


@dataclass(frozen=True, eq=False)
class CutOut:
    """A thing in one frame."""

    pixels: np.ndarray  # uint8 (h, w, 3)
    alpha: np.ndarray  # float32 (h, w), opacity in [0, 1]
    foot: tuple[float, float]  # x, y of the middle of its lower edge in the frame

    def scaled(self, factor: float) -> "CutOut":
        """`factor` times as high and wide, on the same foot."""
        height, width = self.alpha.shape
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        pixels, alpha = (cv2.resize(image, size, interpolation=how) for image in (self.pixels, self.alpha))
        return CutOut(pixels, alpha, self.foot)

    def moved(self, right: float, down: float) -> "CutOut":
        return CutOut(self.pixels, self.alpha, (self.foot[0] + right, self.foot[1] + down))

    def stands_out(self, ground: np.ndarray, threshold: float) -> np.ndarray:
        """Which of the pixels it covers differ by more than `threshold` from `ground`, uint8 (H, W, 3): bool [N]."""
        (left, top), (height, width) = self.corner, self.alpha.shape
        x, y = max(left, 0), max(top, 0)
        below = ground[y : max(top + height, 0), x : max(left + width, 0)]
        pasted, mask = paste(below, self.pixels, self.alpha, (left - x, top - y))
        return difference(pasted, np.ascontiguousarray(below))[mask] > threshold if mask.size else mask.ravel()

    @property
    def corner(self) -> tuple[int, int]:
        """Left and top in the frame, pixels."""
        height, width = self.alpha.shape
        return round(self.foot[0] - width / 2), round(self.foot[1] - height)


def cut_out_things(frames: np.ndarray, survey: Survey, count: int, rng: np.random.Generator) -> Iterator[list[CutOut]]:
    """Things that move, each in at most `count` consecutive frames (a random part of a longer path); large and long first.

    `frames`: uint8 (S, H, W, 3), those of the survey.
    """
    height, width = frames.shape[1:3]
    paths = [path for path in map(_steady, _paths(survey, (width, height))) if _goes_somewhere(path)]
    seen = [min(len(path), count) * float(np.median([blob.area for _, blob in path])) for path in paths]
    for i in sorted(range(len(paths)), key=lambda i: -seen[i]):
        start = int(rng.integers(0, max(len(paths[i]) - count, 0) + 1))
        yield [_cut_out(frames[t], survey, t, blob) for t, blob in paths[i][start : start + count]]


def to_and_fro(step: int, count: int) -> int:
    """Which of `count` frames a thing shows at `step`: 0, 1, … count-1, count-2, … 1, 0, 1, …"""
    turn = max(2 * (count - 1), 1)
    return count - 1 - abs(step % turn - (count - 1))


Path = list[tuple[int, Blob]]  # a frame and the region in it, frame after frame


def _paths(survey: Survey, size: tuple[int, int]) -> list[Path]:
    """Regions followed from frame to frame, for as long as they are whole."""
    done: list[Path] = []
    followed: list[Path] = []
    for t, blobs in enumerate(survey.blobs):
        whole = [blob for blob in blobs if _is_whole(blob, size, survey.scene.config.max_area)]
        matches = [(path, blob) for path, blob in _matches(followed, blobs) if blob in whole]
        grown, taken = [path for path, _ in matches], [blob for _, blob in matches]
        done += [path for path in followed if path not in grown]
        for path, blob in matches:
            path.append((t, blob))
        followed = grown + [[(t, blob)] for blob in whole if blob not in taken]
    return done + followed


def _matches(paths: Sequence[Path], blobs: Sequence[Blob]) -> Iterator[tuple[Path, Blob]]:
    """Which path continues with which region: the boxes overlap each other most, and have about the same size."""
    if not paths or not blobs:
        return
    lasts = [path[-1][1] for path in paths]
    common = overlap(*(np.array([blob.xyxy for blob in some]) for some in (lasts, blobs)))  # (paths, blobs)
    for i, j in enumerate(common.argmax(axis=1)):
        alike = 1 / GROWTH <= blobs[j].area / lasts[i].area <= GROWTH
        if common[i, j] > 0 and common[:, j].argmax() == i and alike:
            yield paths[i], blobs[j]


def _is_whole(blob: Blob, size: tuple[int, int], max_area: float) -> bool:
    """Whether a region is not cut off by the frame's edge, and not too large for a single thing."""
    x1, y1, x2, y2 = blob.xyxy
    inside = x1 > 0 and y1 > 0 and x2 < size[0] and y2 < size[1]
    return inside and blob.area <= max_area * size[0] * size[1]


def _steady(path: Path) -> Path:
    """The (first) longest piece of a path in which the region has about the path's usual size."""
    areas = np.array([blob.area for _, blob in path])
    usual = np.median(areas)
    odd = np.flatnonzero((areas < usual / GROWTH) | (areas > usual * GROWTH))
    cuts = np.concatenate([[-1], odd, [len(path)]])
    longest = int(np.diff(cuts).argmax())
    return path[cuts[longest] + 1 : cuts[longest + 1]]


def _goes_somewhere(path: Path) -> bool:
    """Whether both sides move the same way, or top and bottom do: only one does when somebody merely stirs."""
    boxes = np.array([blob.xyxy for _, blob in path])
    far = STRIDE * float(np.median(boxes[:, 2] - boxes[:, 0]))
    left, top, right, bottom = (boxes[-1] - boxes[0]).tolist()
    return any(a * b > 0 and min(abs(a), abs(b)) > far for a, b in ((left, right), (top, bottom)))


def _cut_out(frame: np.ndarray, survey: Survey, t: int, blob: Blob) -> CutOut:
    labels, _ = survey.scene.regions(blurred(frame))
    number = survey.blobs[t].index(blob) + 1
    x1, y1, x2, y2 = blob.xyxy
    top, left = max(y1 - MARGIN, 0), max(x1 - MARGIN, 0)
    part = np.s_[top : y2 + MARGIN, left : x2 + MARGIN]
    mask = cv2.erode((labels[part] == number).astype(np.float32), np.ones((RIM, RIM), np.uint8))
    alpha = cv2.GaussianBlur(mask, (0, 0), FEATHER) * mask  # inwards only: no ground of the old place comes along
    foot = (left + mask.shape[1] / 2, float(top + mask.shape[0]))
    return CutOut(np.array(frame[part]), alpha, foot)
