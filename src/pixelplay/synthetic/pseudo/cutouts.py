"""What is pasted into frames: things cut out of footage along the edge of what moves, without an object detector
(walkers with their gait), and the foreign patch, an irregular, rotated negative of a piece of the scene.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from pixelplay.synthetic.pseudo.motion_mask import GROWTH, Blob, Survey, blurred, difference, matched

MARGIN = 2  # pixels around a cut-out
RIM = 3  # pixels, side of the square that erodes what the blur of the scene added around a thing
FEATHER = 0.8  # pixels, sigma of the soft edge
STRIDE = 0.5  # of its own width: what a thing must move, from its first frame to its last
DRAWS = 32  # pieces of the footage, of which the one with the most texture becomes the patch
FLAT = 8.0  # grey levels of contrast below which a piece has no texture
CONTRAST = 48.0  # grey levels, standard deviation of a patch: it stands out from any ground
WAVES = 4  # that make its outline irregular
EDGE = 2.0  # pixels over which it fades out


@dataclass(frozen=True, eq=False)
class CutOut:
    """A thing in one frame."""

    pixels: np.ndarray  # uint8 (h, w, 3)
    alpha: np.ndarray  # float32 (h, w), opacity in [0, 1]
    foot: tuple[float, float]  # x, y of the middle of its lower edge in the frame
    at: int  # the frame's position in the footage

    def scaled(self, factor: float) -> "CutOut":
        """`factor` times as high and wide, on the same foot."""
        height, width = self.alpha.shape
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        pixels, alpha = (cv2.resize(image, size, interpolation=how) for image in (self.pixels, self.alpha))
        return replace(self, pixels=pixels, alpha=alpha)

    def moved(self, right: float, down: float) -> "CutOut":
        return replace(self, foot=(self.foot[0] + right, self.foot[1] + down))

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
    """Things in the survey's frames, uint8 (S, H, W, 3), each in at most `count` in a row; large and long first."""
    height, width = frames.shape[1:3]
    paths = [path for path in map(_steady, _paths(survey, (width, height))) if _goes_somewhere(path)]
    seen = [min(len(path), count) * float(np.median([blob.area for _, blob in path])) for path in paths]
    for i in sorted(range(len(paths)), key=lambda i: -seen[i]):
        start = int(rng.integers(0, max(len(paths[i]) - count, 0) + 1))  # of a random part of a longer path
        yield [_cut_out(frames[t], survey, t, blob) for t, blob in paths[i][start : start + count]]


def reflected(place: float, room: int) -> int:
    """`place` in 0..room, as of a ball between two walls: 0, 1, … room, room - 1, … 1, 0, 1, …"""
    phase = place % (2 * room) if room else 0
    return round(min(phase, 2 * room - phase))


Path = list[tuple[int, Blob]]  # a frame and the region in it, frame after frame


def _paths(survey: Survey, size: tuple[int, int]) -> list[Path]:
    """Regions followed from frame to frame, for as long as they are whole."""
    done: list[Path] = []
    followed: list[Path] = []
    for t, blobs in enumerate(survey.blobs):
        whole = [blob for blob in blobs if _is_whole(blob, size, survey.scene.config.max_area)]
        pairs = matched([path[-1][1] for path in followed], blobs)
        matches = [(followed[i], blobs[j]) for i, j in pairs if blobs[j] in whole]
        grown, taken = [path for path, _ in matches], [blob for _, blob in matches]
        done += [path for path in followed if path not in grown]
        for path, blob in matches:
            path.append((t, blob))
        followed = grown + [[(t, blob)] for blob in whole if blob not in taken]
    return done + followed


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
    return CutOut(np.array(frame[part]), alpha, foot, t)


def paste(
    frame: np.ndarray, pixels: np.ndarray, alpha: np.ndarray, corner: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """A copy of `frame`, uint8 (H, W, 3), with `pixels`, uint8 (h, w, 3), on top, and the mask of changes, bool (H, W).

    `alpha`: float32 (h, w), opacity. `corner`: left and top in the frame; what lies outside the frame is cut off.
    """
    height, width = frame.shape[:2]
    left, top = corner
    x1, y1 = max(left, 0), max(top, 0)
    x2, y2 = min(left + alpha.shape[1], width), min(top + alpha.shape[0], height)
    result, mask = frame.copy(), np.zeros((height, width), bool)
    if x1 < x2 and y1 < y2:
        part, own = np.s_[y1:y2, x1:x2], np.s_[y1 - top : y2 - top, x1 - left : x2 - left]
        opacity = alpha[own][..., None]
        result[part] = np.rint(frame[part] * (1 - opacity) + pixels[own] * opacity).astype(np.uint8)
        mask[part] = alpha[own] > 0
    return result, mask


def foreign_patch(frames: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """Texture, uint8 (side, side, 3), that is made of the footage, uint8 (S, H, W, 3), but not found in it.

    Of pieces at random places and times the one with the most texture: its negative, rotated by 90 or 270 degrees, in
    strong contrast. Smooth noise where the footage has no texture.
    """
    height, width = frames.shape[1:3]
    pieces = []
    for _ in range(DRAWS):
        t, y, x = (int(rng.integers(0, count)) for count in (len(frames), height - side + 1, width - side + 1))
        pieces.append(frames[t, y : y + side, x : x + side].astype(np.float32))
    piece = max(pieces, key=_texture)
    if piece.std() < FLAT:
        grain = rng.standard_normal((side, side)).astype(np.float32)
        piece = np.repeat(cv2.GaussianBlur(grain, (0, 0), max(side / 10, 0.5))[..., None], 3, axis=2)
    negative = (piece.mean() - piece) * (CONTRAST / max(piece.std(), 1e-6)) + 128  # one pixel has no contrast
    turned = np.rot90(negative, k=int(rng.choice([1, 3])))
    return np.clip(np.rint(turned), 0, 255).astype(np.uint8)


def _texture(piece: np.ndarray) -> float:
    """Mean difference of neighbours, grey levels."""
    if len(piece) < 2:  # of frames that are one pixel wide
        return 0.0
    return float(np.abs(np.diff(piece, axis=0)).mean() + np.abs(np.diff(piece, axis=1)).mean())


def irregular_shape(side: int, rng: np.random.Generator) -> np.ndarray:
    """Opacity, float32 (side, side) in [0, 1], of a round patch with a wavy outline and a soft edge."""
    middle = (side - 1) / 2
    y, x = np.mgrid[:side, :side] - middle
    angle, radius = np.arctan2(y, x), np.hypot(x, y)
    outline = np.ones_like(radius)
    for wave in range(2, 2 + WAVES):
        outline += rng.uniform(-0.12, 0.12) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    outline *= (side / 2) / (1 + 0.12 * WAVES)  # the largest one fits
    return np.clip((outline - radius) / EDGE, 0, 1).astype(np.float32)
