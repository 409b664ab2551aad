"""Renders a video of the plaza frame by frame, and finds the anomalous pixels of each frame."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import pi, sin

import cv2
import numpy as np

from pixelplay.synthetic.sample.crowd import Actor
from pixelplay.synthetic.sample.plaza import FRAME_RATE, Camera
from pixelplay.synthetic.sample.scenery import FURNITURE, paint_scenery
from pixelplay.synthetic.sample.sprites import Sprite, draw, draw_shadow, far_to_near

OVERSAMPLING = 2  # the scene is drawn this much larger and scaled down: edges become smooth
MIN_VISIBLE_PIXELS = 8  # a frame with fewer anomalous pixels counts as normal: they would be invisible
SENSOR_NOISE = (1.0, 2.2)  # standard deviation in grey levels, drawn per video
BRIGHTNESS = (0.8, 1.12)  # a video's light, drawn per video
DRIFT = 0.08  # how far the light wanders within a video, either way
SHADOWS = (0.1, 0.5)  # how much darker a shadow is, overcast to sunny

Box = tuple[int, int, int, int]


class Light:
    """The light of one video, drawn at random."""

    def __init__(self, rng: np.random.Generator):
        self.brightness = float(rng.uniform(*BRIGHTNESS))
        self.periods = [float(rng.uniform(*seconds)) * FRAME_RATE for seconds in ((6, 15), (2, 5))]  # frames
        self.phases = rng.uniform(0, 2 * pi, 2).tolist()
        self.tint = rng.uniform(0.96, 1.04, 3).astype(np.float32)  # factors of blue, green, red
        self.shadow = float(rng.uniform(*SHADOWS))
        self.noise = float(rng.uniform(*SENSOR_NOISE))  # grey levels

    def gain(self, frame: int) -> np.ndarray:
        """Factors of blue, green and red in this frame, (3,) float32."""
        waves = sum(sin(2 * pi * frame / p + phase) for p, phase in zip(self.periods, self.phases, strict=True))
        return self.tint * np.float32(self.brightness * (1 + DRIFT * waves / 2))


@dataclass(frozen=True, eq=False)
class Truth:
    """The anomalous pixels of one frame, (H, W) uint8, 0 or 255, and each anomalous object's box by track number.

    Boxes are x1, y1, x2, y2 in pixels around what is seen of the object, x2 and y2 exclusive.
    """

    mask: np.ndarray
    boxes: dict[int, Box]


def find_truth(camera: Camera, actors: list[Actor], frame: int) -> Truth | None:
    """The visible anomalous pixels of this frame; None for fewer than `MIN_VISIBLE_PIXELS`."""
    sprites = _sprites(actors, frame)
    numbers = sorted({sprite.track for sprite in sprites} - {0})
    if not numbers:
        return None
    large = Camera(camera.width * OVERSAMPLING, camera.height * OVERSAMPLING)
    tracks = np.zeros((large.height, large.width), np.uint8)
    farthest = max(sprite.z for sprite in sprites if sprite.track)  # sprites behind all of them hide nothing
    for sprite in far_to_near([sprite for sprite in sprites + FURNITURE if sprite.z <= farthest]):
        draw(tracks, large, sprite, sprite.track)
    mask, boxes = np.zeros((camera.height, camera.width), np.uint8), {}
    for number in numbers:
        share = cv2.resize(255 * (tracks == number).astype(np.uint8), mask.shape[::-1], interpolation=cv2.INTER_AREA)
        seen = share > 127  # at least half of the pixel
        if seen.any():
            x, y, width, height = cv2.boundingRect(seen.astype(np.uint8))
            boxes[number] = (x, y, x + width, y + height)
            mask[seen] = 255
    return Truth(mask, boxes) if np.count_nonzero(mask) >= MIN_VISIBLE_PIXELS else None


def render_frames(
    camera: Camera, scene_seed: int, light: Light, actors: list[Actor], frames: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """The video's frames with its light and sensor noise, each (H, W, 3) uint8, blue-green-red."""
    large = Camera(camera.width * OVERSAMPLING, camera.height * OVERSAMPLING)
    empty = paint_scenery(large, np.random.default_rng(scene_seed))
    fixed_shadows = np.zeros((camera.height, camera.width), np.uint8)
    for sprite in FURNITURE:
        draw_shadow(fixed_shadows, camera, sprite)
    for frame in range(frames):
        moving = _sprites(actors, frame)
        shadows = fixed_shadows.copy()
        for sprite in moving:
            draw_shadow(shadows, camera, sprite)
        picture = _shade_ground(empty, shadows, light.shadow)
        for sprite in far_to_near(moving + FURNITURE):
            draw(picture, large, sprite)
        small = cv2.resize(picture, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
        lit = small * light.gain(frame)  # (H, W, 3) float32
        lit += rng.standard_normal(lit.shape, dtype=np.float32) * np.float32(light.noise)
        yield np.clip(np.rint(lit), 0, 255).astype(np.uint8)


def _sprites(actors: list[Actor], frame: int) -> list[Sprite]:
    return [sprite for actor in actors for sprite in actor.at(frame)]


def _shade_ground(empty: np.ndarray, shadows: np.ndarray, depth: float) -> np.ndarray:
    """A copy of the empty scene, (H, W, 3) uint8, darker by `depth` where `shadows`, (h, w) uint8, are 255."""
    soft = cv2.resize(cv2.blur(shadows, (3, 3)), empty.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    dark = cv2.convertScaleAbs(soft, alpha=-depth, beta=255.0)  # 255 in the light, (1 - depth) * 255 in the shadow
    return cv2.multiply(empty, cv2.merge((dark, dark, dark)), scale=1 / 255)
