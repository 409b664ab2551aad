"""Things that are drawn: a cart on wheels, a parcel and a ball, in colours that stand out from the ground.

Drawn large and made small, so that their edges are as soft as those of things in footage.
"""

import cv2
import numpy as np

LARGE = 8  # times as large are things drawn
DARK, BRIGHT = 45.0, 215.0  # grey levels of a thing on bright and on dark ground
TINT = 0.4  # a colour's channels are darker by up to this share, where the ground has colours, too
TYRE = (25, 25, 25)


def color_on(ground: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A colour that stands out from ground, uint8 (N, 3): float64 (3,), grey on grey ground."""
    level = DARK if np.median(ground) > (DARK + BRIGHT) / 2 else BRIGHT
    gray = not ground.size or (ground == ground[:, :1]).all()
    return np.full(3, level) * (1.0 if gray else 1 - rng.uniform(0, TINT, 3))


def cart(height: int, color: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A box with a rim on two wheels and a handle: pixels, uint8 (height, w, 3), and opacity, float32 (height, w)."""
    width = max(3, round(height * rng.uniform(1.1, 1.5)))
    canvas, mask = _blank(height, width, color)
    tall, wide = mask.shape
    wheel = round(0.19 * tall)
    top, floor = round(tall * rng.uniform(0.1, 0.25)), tall - wheel
    side = round(wide * 0.12)
    cv2.line(mask, (0, 0), (side, top + wheel), 255, max(1, wheel // 3))
    cv2.rectangle(mask, (side, top), (wide - 1, floor), 255, -1)
    cv2.rectangle(canvas, (side, top), (wide - 1, top + (floor - top) // 4), (color * 0.7).tolist(), -1)
    for x in (side + wheel, wide - 1 - wheel):
        cv2.circle(mask, (x, floor), wheel, 255, -1)
        cv2.circle(canvas, (x, floor), wheel, TYRE, -1)
        cv2.circle(canvas, (x, floor), wheel // 3, (color * 0.9).tolist(), -1)
    return _small(canvas, mask, height, width)


def parcel(height: int, color: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A box with a lid in another shade: as `cart`."""
    width = max(2, round(height * rng.uniform(0.8, 1.3)))
    canvas, mask = _blank(height, width, color)
    mask[:] = 255
    canvas[: len(canvas) // 4] = color * 0.75
    return _small(canvas, mask, height, width)


def ball(height: int, color: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A ball, darker below: as `cart`."""
    canvas, mask = _blank(height, height, color)
    radius = (len(mask) - 1) // 2
    cv2.circle(mask, (radius, radius), radius, 255, -1)
    canvas[radius:] = color * 0.8
    return _small(canvas, mask, height, height)


def _blank(height: int, width: int, color: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = height * LARGE, width * LARGE
    return np.full((*size, 3), color, np.float32), np.zeros(size, np.uint8)


def _small(canvas: np.ndarray, mask: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    pixels, alpha = (cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA) for one in (canvas, mask))
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8), (alpha / 255).astype(np.float32)
