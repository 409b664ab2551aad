"""From frames as they come to moments: restored, objects found and followed, and what detectors ask for of these.

Every step is that of recorded footage, so that moments are those of the tables of causally restored frames, with
boxes of a background that knows no later frames.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pixelplay import requirements
from pixelplay.backbones.object_maps import ObjectMaps
from pixelplay.config import Config
from pixelplay.detectors.stream import StreamFormat
from pixelplay.errors import ConfigError
from pixelplay.objects import detection, motion, tables
from pixelplay.objects.boxes import Boxes, join
from pixelplay.objects.flow import BoxFlow
from pixelplay.objects.live import LiveTracks, Seen
from pixelplay.objects.moments import Moment
from pixelplay.objects.settings import ObjectsConfig
from pixelplay.objects.tables import Need
from pixelplay.objects.tracks import Tracks
from pixelplay.objects.tubes import squares
from pixelplay.objects.yolo import Yolo
from pixelplay.online.frame import Arrived
from pixelplay.online.restoration import Restored, restore_frame
from pixelplay.restoration.dataset import judges
from pixelplay.restoration.restore import FrameJudge
from pixelplay.restoration.settings import RestoreConfig
from pixelplay.stages import detect, extract, prepare
from pixelplay.videos.index import load_index
from pixelplay.videos.settings import FrameFormat

NEED_OF: dict[str, Need] = {"flow": "flow", "crops": "crops", "maps": "features"}  # by the fields of `Moment`


@dataclass(frozen=True, eq=False)
class Models:
    """What a run has learnt that perception needs. Streams share it, and change nothing of it."""

    needs: Collection[Need]  # of the detectors
    formats: Sequence[FrameFormat]  # working sizes
    restore: RestoreConfig
    objects: ObjectsConfig
    judge: FrameJudge | None = None  # of flips; None: none is judged
    yolo: Yolo | None = None
    pools: bool = False  # whether feature maps are YOLO's
    blobs: bool = False  # whether moving blobs are objects
    scenes: Mapping[tuple[int, int], Sequence[np.ndarray]] = field(default_factory=dict)  # see `motion.scenes`
    backbone: ObjectMaps | None = None  # of crops

    @classmethod
    def load(cls, config: Config, needs: Collection[Need]) -> "Models":
        """Of a finished run, what is needed for detectors whose `Spec.needs` are these together.

        Raises ConfigError where objects come from files, MissingArtifactError for what the run has not made.
        """
        found = _of_objects(config, needs) if "tracks" in needs else {}
        index = load_index(config)
        network, backgrounds = judges(config, index)
        if config.restore.flip != "none":
            found["judge"] = FrameJudge(network, backgrounds, config.restore)
        if found.get("blobs"):
            found["scenes"] = motion.scenes(index.fit, config.objects.motion)
        return cls(frozenset(needs), prepare.formats(config), config.restore, config.objects, **found)


def _of_objects(config: Config, needs: Collection[Need]) -> dict[str, Any]:
    methods = detection.methods(config, needs)
    if "file" in methods:
        raise ConfigError(
            "objects.method=file: of a stream nobody brings boxes in files: set objects.method=motion, or weights.yolo "
            "to weights with objects.method=yolo, in a run that is trained so"
        )
    requirements.require(["tracks"])
    found: dict[str, Any] = {"blobs": "motion" in methods}
    if "yolo" in methods:
        found["yolo"] = detect.yolo_of(config)
        found["yolo"].boxes([np.zeros((64, 64, 3), np.uint8)])  # what is done once is done before the first frame comes
        found["pools"] = "features" in needs and tables.features_source(config) == "yolo"
    if tables.by_backbone(config, needs):
        found["backbone"] = extract.extractor_of(config)
    return found


@dataclass(frozen=True, eq=False)
class Look:
    """A frame, put right, with what was detected in it."""

    by: "Perception"
    arrived: Arrived
    position: int
    restored: Restored
    boxes: Boxes
    maps: np.ndarray | None  # float16 [N, C, S, S], YOLO's of the boxes


class Perception:
    """What is known of one stream so far. It keeps no more than tracks that may go on, and a background."""

    def __init__(self, models: Models, footage: StreamFormat, ids: Iterator[int] | None = None):
        """ids: of tracks, shared by those whose tracks are to be told apart; None: 1, 2, …"""
        self.footage, self._models, self._size = footage, models, footage.size
        self._position, self._seconds, self._tracks = 0, -np.inf, None
        if "tracks" in models.needs:
            self._tracks = LiveTracks(models.objects.tracks, models.objects.features, ids)
        self._background = motion.CausalBackground(models.objects.motion, models.scenes.get(footage.size, ()))
        self._flow = BoxFlow(models.objects.flow, footage.size)
        self._channels = models.backbone.channels if models.backbone else 0

    def step(self, arrived: Arrived) -> Moment:
        """The next frame, which goes on with those before: see `change`."""
        return self.follow(self.look(arrived))

    def change(self, arrived: Arrived) -> str | None:
        """Why a frame does not go on with those before, so that another perception and other streams must begin."""
        height, width = arrived.image.shape[:2]
        if (width, height) != self._size:
            before = "frames of {}x{}".format(*self._size)
            return f"frame {arrived.number}: {width}x{height} pixels, after {before}"
        if not arrived.seconds > self._seconds:
            return f"frame {arrived.number}: at {arrived.seconds:g} s, after one at {self._seconds:g} s"
        return None

    def look(self, arrived: Arrived) -> Look:
        """The first half of a step, which knows nothing of the second: the next frame may be looked at in a thread
        while this one is followed.
        """
        models, position = self._models, self._position
        restored = restore_frame(arrived.image, arrived.gray, models.judge, models.restore, models.formats)
        boxes, maps = Boxes.none(), None
        if self._tracks:
            boxes = self._boxes(restored)
        if models.yolo and models.pools:
            of_frame, cells = np.zeros(len(boxes), np.int64), models.objects.features.cells
            maps = models.yolo.pooled(boxes.xyxy, of_frame, self._size, cells)
        self._position, self._seconds = position + 1, arrived.seconds
        return Look(self, arrived, position, restored, boxes, maps)

    def follow(self, look: Look) -> Moment:
        """The second half of a step: looks in the order of their frames."""
        restored, seconds = look.restored, look.arrived.seconds
        tracks, labels, values, ended = Tracks.none(), np.empty(0, np.str_), dict[str, Any](), ()
        if self._tracks:
            seen = self._tracks.step(look.boxes, look.position, seconds, restored.noise)
            tracks, labels, ended = seen.tracks, seen.labels, seen.ended
            values = self._values(look, seen)
        return Moment(
            position=look.position,
            number=look.arrived.number,
            seconds=seconds,
            image=restored.image,
            noise=restored.noise,
            frames=restored.frames,
            tracks=tracks,
            labels=labels,
            ended=ended,
            flipped=restored.flipped,
            **values,
        )

    def _boxes(self, restored: Restored) -> Boxes:
        """All boxes in a frame, in the order of tables of several methods."""
        models, found = self._models, []
        if models.yolo:
            found.append(models.yolo.boxes([restored.image], self._position))
        if models.blobs:
            config = models.objects.motion
            frame = restored.frames[config.frames]
            background = self._background.step(frame)
            found.append(motion.blob_boxes(frame, background, config, self._size, self._position))
        return join(found)

    def _values(self, look: Look, seen: Seen) -> dict[str, np.ndarray]:
        """What is needed of the followed objects, by the name of `Moment`'s field."""
        models, found, image = self._models, dict[str, np.ndarray](), look.restored.image
        if "flow" in models.needs:
            found["flow"] = self._flow.step(image, seen.tracks.xyxy, look.arrived.seconds)
        if look.maps is not None:
            found["maps"] = look.maps[seen.row]
        if models.backbone:
            maps = self._crops(models.backbone, image, seen)
            found.setdefault("maps", maps)
            found["crops"] = maps.astype(np.float32).mean(axis=(2, 3))
        return {name: values for name, values in found.items() if NEED_OF[name] in models.needs}

    def _crops(self, backbone: ObjectMaps, image: np.ndarray, seen: Seen) -> np.ndarray:
        """Maps float16 (n, C, S, S) of the crops, NaN for rows that have none."""
        config = backbone.config
        square = squares(seen.tracks.xyxy[seen.cropped], self._size, config.enlarge)
        frame = np.zeros(len(square), np.int64)
        maps = np.full((len(seen.row), self._channels, config.cells, config.cells), np.nan, np.float16)
        for row, one in zip(np.flatnonzero(seen.cropped), backbone.seen([image], square, frame), strict=True):
            maps[row] = one
        return maps
