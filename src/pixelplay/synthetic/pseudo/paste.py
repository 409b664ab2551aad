"""Pasting into frames, and the foreign patch: an irregular, rotated negative of a piece of the scene."""

import cv2
import numpy as np

DRAWS = 32  # pieces of the footage, of which the one with the most texture becomes the patch
FLAT = 8.0  # grey levels of contrast below which a piece has no texture
CONTRAST = 48.0  # grey levels, standard deviation of a patch: it stands out from any ground
WAVES = 4  # that make its outline irregular
EDGE = 2.0  # pixels over which it fades out


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
