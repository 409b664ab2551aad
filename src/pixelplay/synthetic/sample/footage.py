"""Renders a video of the plaza, its scenery first, frame by frame, and finds the anomalous pixels of each frame."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import pi, sin

import cv2
import numpy as np

from pixelplay.synthetic.sample.crowd import Actor
from pixelplay.synthetic.sample.plaza import DOOR_X, FACADE_Z, FRAME_RATE, LAWN, NEAR_KERB, PATH, Camera
from pixelplay.synthetic.sample.sprites import Part, Sprite, disc, draw, draw_shadow

OVERSAMPLING = 2  # the scene is drawn this much larger and scaled down: edges become smooth
MIN_VISIBLE_PIXELS = 8  # a frame with fewer anomalous pixels counts as normal: they would be invisible
SENSOR_NOISE = (1.0, 2.2)  # standard deviation in grey levels, drawn per video
BRIGHTNESS = (0.8, 1.12)  # a video's light, drawn per video
DRIFT = 0.08  # how far the light wanders within a video, either way
SHADOWS = (0.1, 0.5)  # how much darker a shadow is, overcast to sunny

# Colours are blue, green, red.
PAVING = (150, 160, 168)
FAR_PAVING = (135, 142, 146)
BRICK = (104, 122, 158)
GRASS = (62, 118, 92)
KERB = (178, 184, 188)
IRON = (52, 50, 48)

BOLLARD = [Part([(0, 0), (0, 0.75)], 0.16, IRON), disc(0, 0.8, 0.2, (70, 72, 74))]
LAMP = [
    Part([(0, 0), (0, 4.1)], 0.11, IRON),
    Part([(0, 0), (0, 0.5)], 0.2, IRON),
    Part([(-0.3, 4.1), (0.3, 4.1), (0.16, 4.5), (-0.16, 4.5)], 0, (205, 220, 224)),
]
PLANTER = [
    disc(-0.35, 0.75, 0.5, (50, 104, 66)),
    disc(0.3, 0.75, 0.5, (44, 92, 58)),
    disc(0, 0.95, 0.5, (62, 120, 78)),
    disc(0.12, 0.7, 0.5, (70, 70, 170)),
    Part([(-0.6, 0), (0.6, 0), (0.7, 0.6), (-0.7, 0.6)], 0, (104, 112, 122)),
]
TREE = [
    Part([(0, 0), (0.05, 2.6)], 0.3, (48, 62, 78)),
    disc(-0.9, 3.0, 1.8, (40, 84, 52)),
    disc(0.9, 3.1, 1.9, (44, 92, 58)),
    disc(0, 3.9, 2.1, (50, 104, 66)),
    disc(-0.4, 3.2, 1.3, (58, 116, 76)),
    disc(0.6, 3.8, 1.0, (64, 126, 86)),
]
FURNITURE = [
    *(Sprite(x, 9.1, BOLLARD) for x in np.arange(-8.0, 8.1, 2.0)),
    *(Sprite(x, z, LAMP) for x, z in ((-4.6, 9.1), (4.9, 12.2), (-8.8, 18.3), (8.6, 18.3))),
    *(Sprite(x, 12.2, PLANTER) for x in (0.4, 4.4)),
    *(Sprite(x, z, TREE) for x, z in ((-7.2, 15.4), (9.6, 16.0))),
]


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


Box = tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels, x2 and y2 exclusive


@dataclass(frozen=True, eq=False)
class Truth:
    """What is seen of the anomalous objects of one frame."""

    mask: np.ndarray  # (H, W) uint8, 0 or 255
    boxes: dict[int, Box]  # by track number


def find_truth(camera: Camera, actors: list[Actor], frame: int) -> Truth | None:
    """The visible anomalous pixels of this frame; None for fewer than `MIN_VISIBLE_PIXELS`."""
    seen = _seen(camera, _sprites(actors, frame))
    mask = np.zeros((camera.height, camera.width), np.uint8)
    for pixels in seen.values():
        mask[pixels] = 255
    boxes = {number: _box(pixels) for number, pixels in seen.items()}
    return Truth(mask, boxes) if np.count_nonzero(mask) >= MIN_VISIBLE_PIXELS else None


def find_boxes(camera: Camera, actors: list[Actor], frame: int, least: int) -> list[Box]:
    """Around all that moves, normal or not, of which at least so many pixels are seen."""
    numbered = [replace(sprite, track=number) for number, sprite in enumerate(_sprites(actors, frame), start=1)]
    return [_box(pixels) for pixels in _seen(camera, numbered).values() if np.count_nonzero(pixels) >= least]


def _seen(camera: Camera, sprites: list[Sprite]) -> dict[int, np.ndarray]:
    """The visible pixels, bool (H, W), of the sprites that have a track number, by these."""
    numbers = sorted({sprite.track for sprite in sprites} - {0})
    if not numbers:
        return {}
    large = Camera(camera.width * OVERSAMPLING, camera.height * OVERSAMPLING)
    tracks = np.zeros((large.height, large.width), np.uint8)
    farthest = max(sprite.z for sprite in sprites if sprite.track)  # sprites behind all of them hide nothing
    for sprite in sorted(sprites + FURNITURE, key=lambda sprite: -sprite.z):  # near ones hide far ones
        if sprite.z <= farthest:
            draw(tracks, large, sprite, sprite.track)
    seen = {}
    for number in numbers:
        share = cv2.resize(
            255 * (tracks == number).astype(np.uint8), (camera.width, camera.height), interpolation=cv2.INTER_AREA
        )
        pixels = share > 127  # at least half of the pixel
        if pixels.any():
            seen[number] = pixels
    return seen


def _box(pixels: np.ndarray) -> Box:
    x, y, width, height = cv2.boundingRect(pixels.astype(np.uint8))
    return x, y, x + width, y + height


def render_frames(
    camera: Camera, scene_seed: int, light: Light, actors: list[Actor], frames: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """The video's frames with its light and sensor noise, each (H, W, 3) uint8, blue-green-red."""
    large = Camera(camera.width * OVERSAMPLING, camera.height * OVERSAMPLING)
    empty = _paint_scenery(large, np.random.default_rng(scene_seed))
    fixed_shadows = np.zeros((camera.height, camera.width), np.uint8)
    for sprite in FURNITURE:
        draw_shadow(fixed_shadows, camera, sprite)
    for frame in range(frames):
        moving = _sprites(actors, frame)
        shadows = fixed_shadows.copy()
        for sprite in moving:
            draw_shadow(shadows, camera, sprite)
        soft = cv2.resize(cv2.blur(shadows, (3, 3)), empty.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        lit = cv2.convertScaleAbs(soft, alpha=-light.shadow, beta=255.0)  # 255, and less in the shadow
        picture = cv2.multiply(empty, cv2.merge((lit, lit, lit)), scale=1 / 255)
        for sprite in sorted(moving + FURNITURE, key=lambda sprite: -sprite.z):
            draw(picture, large, sprite)
        small = cv2.resize(picture, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
        exposed = small * light.gain(frame)  # (H, W, 3) float32
        exposed += rng.standard_normal(exposed.shape, dtype=np.float32) * np.float32(light.noise)
        yield np.clip(np.rint(exposed), 0, 255).astype(np.uint8)


def _sprites(actors: list[Actor], frame: int) -> list[Sprite]:
    return [sprite for actor in actors for sprite in actor.at(frame)]


def _paint_scenery(camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """The empty plaza, (H, W, 3) uint8, blue-green-red; the textures depend on `rng` alone."""
    x, z = camera.ground()
    picture = _paving(x, z, PAVING, slab=1.0, rng=rng)
    far = z > LAWN[1]
    picture[far] = _paving(x, z, FAR_PAVING, slab=1.5, rng=rng)[far]
    lawn = (z > LAWN[0]) & (z < LAWN[1])
    picture[lawn] = _grass(z, rng)[lawn]
    path = (z > LAWN[0]) & (x > PATH[0]) & (x < PATH[1])
    picture[path] = _paving(x, z, BRICK, slab=0.5, rng=rng)[path]
    picture[(z > NEAR_KERB[0]) & (z < NEAR_KERB[1]) | (np.abs(z - LAWN[0]) < 0.12) & ~path] = KERB
    cell = max(1, camera.height // 8)  # pixels of a blotch of smooth noise
    blotches = rng.normal(0, 1, (camera.height // cell + 2, camera.width // cell + 2)).astype(np.float32)
    picture *= 1 + 0.05 * cv2.resize(blotches, (camera.width, camera.height), interpolation=cv2.INTER_CUBIC)[..., None]
    sharp = np.clip(picture, 0, 255).astype(np.uint8)
    _facades(sharp, camera, rng)
    return cv2.GaussianBlur(sharp, (3, 3), 0.6)


def _paving(x: np.ndarray, z: np.ndarray, colour: tuple, slab: float, rng: np.random.Generator) -> np.ndarray:
    """Slabs with joints, each slab of its own shade; joints fade where a slab covers few pixels. (H, W, 3) float32."""
    shades = rng.normal(1.0, 0.045, (64, 64)).astype(np.float32)
    z = np.minimum(z, 1e3)
    row, shift = np.floor(z / slab), np.floor(z / slab) % 2 * 0.5
    column = np.floor(x / slab + shift)
    shade = shades[row.astype(int) % 64, column.astype(int) % 64]  # (H, W)
    joint = np.minimum(z / slab - row, x / slab + shift - column) * slab < 0.035 * np.maximum(1, z / 8)
    shade = np.where(joint, shade * (1 - 0.22 * np.clip(10 / z, 0, 1)), shade)
    return shade[..., None] * np.array(colour, np.float32)


def _grass(z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mown grass: fine noise over wide stripes, (H, W, 3) float32."""
    noise = cv2.GaussianBlur(rng.normal(0, 1, z.shape).astype(np.float32), (3, 3), 0.8)
    stripes = np.sign(np.sin(np.minimum(z, 1e3) * 2.2)) * 0.04
    return (1 + 0.16 * noise + stripes)[..., None].astype(np.float32) * np.array(GRASS, np.float32)


def _facades(picture: np.ndarray, camera: Camera, rng: np.random.Generator) -> None:
    """Sky and three buildings whose fronts stand at `FACADE_Z`, painted in place."""
    _, foot, scale = camera.project(0, FACADE_Z)
    foot = int(foot)
    sky = np.linspace(228, 205, max(1, foot))[:, None, None] * np.array([1.0, 0.97, 0.92])
    picture[:foot] = sky.astype(np.uint8)
    half = camera.half_view(FACADE_Z) + 1
    _building(picture, camera, (-half, -7.5, 6.2), (112, 128, 150), rng)
    _building(picture, camera, (-7.5, 7.6, 12.0), (148, 158, 166), rng)
    _building(picture, camera, (8.4, half, 7.4), (120, 116, 128), rng)
    left, right = (int(camera.project(DOOR_X + side, FACADE_Z)[0]) for side in (-1.1, 1.1))
    lintel, top = int(foot - 2.6 * scale), int(foot - 2.9 * scale)
    cv2.rectangle(picture, (left, lintel), (right, foot), (58, 54, 50), -1)
    cv2.rectangle(picture, (left, top), (right, lintel), KERB, -1)


def _building(picture: np.ndarray, camera: Camera, extent: tuple, colour: tuple, rng: np.random.Generator) -> None:
    """A front with rows of windows; `extent` is left, right and height in metres."""
    left, right, tall = extent
    first, foot, scale = camera.project(left, FACADE_Z)
    last = camera.project(right, FACADE_Z)[0]
    top = max(0, int(foot - tall * scale))
    front = picture[top : int(foot), max(0, int(first)) : max(0, int(last))]
    if front.size == 0:
        return
    grain = rng.normal(1, 0.035, front.shape[:2])[..., None]
    front[:] = np.clip(grain * np.array(colour), 0, 255).astype(np.uint8)
    for floor in np.arange(1.0, tall - 1.2, 2.9):
        for window in np.arange(left + 0.8, right - 1.4, 2.2):
            if floor < 3 and abs(window + 0.6 - DOOR_X) < 2.0:
                continue
            glass = float(rng.uniform(0.6, 1.25))
            corner = camera.project(window, FACADE_Z)[0]
            low, high = int(foot - floor * scale), int(foot - (floor + 1.7) * scale)
            box = (int(corner), high), (int(corner + 1.25 * scale), low)
            cv2.rectangle(picture, *box, (int(96 * glass), int(84 * glass), int(72 * glass)), -1)
            cv2.rectangle(picture, *box, tuple(int(c * 0.75) for c in colour), 1)
