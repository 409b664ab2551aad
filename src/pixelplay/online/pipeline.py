"""`Pipeline`: what a run has learnt, applied to footage while it comes."""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pixelplay.accepted import accept
from pixelplay.accepted.use import apply_accepted
from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.detectors.stream import MomentScores, Stream
from pixelplay.events.event import Event
from pixelplay.objects.moments import Moment
from pixelplay.objects.tables import NEEDS
from pixelplay.online.ahead import Ahead, looks
from pixelplay.online.capture import Capture
from pixelplay.online.detectors import load_detectors, open_streams, streaming
from pixelplay.online.events import EventStream, OnlineEvents
from pixelplay.online.fusion import Fused, FusionStream, OnlineFusion
from pixelplay.online.perception import Look, Models, Perception
from pixelplay.online.result import Result, ScoredObject
from pixelplay.online.sources import Frames, of_arrays, open_source
from pixelplay.stages import fuse
from pixelplay.training.device import find_device, keep_freed_memory
from pixelplay.videos.index import Index, differences

log = logging.getLogger(__name__)


class Pipeline:
    """A trained run, loaded once; any number of sources can be scored with it, one after the other or side by side."""

    def __init__(self, config: Config):
        """Raises MissingArtifactError where the run is not trained and fused, ConfigError for what can't be online."""
        self.config = config
        self.index: Index = fuse.fused_index(config)
        device = find_device(config.device)
        keep_freed_memory()
        self.fusion = OnlineFusion(config, self.index, streaming(config, device))
        self.names = [name for name in config.detectors if name in self.fusion.detectors]
        self.detectors = load_detectors(config, self.names, device)
        self.events = OnlineEvents(self.fusion)
        # What is to be known of it, in words: what is otherwise than in the run, and how far thresholds can be trusted.
        self.remarks = [*self.fusion.remarks, *apply_accepted(config, self.detectors), *self.events.remarks]
        specs = [registry.spec(name, config.detectors[name]) for name in self.names]
        used = config.model_copy(update={"detectors": {name: config.detectors[name] for name in self.names}})
        self.models = Models.load(used, [need for need in NEEDS if any(need in spec.needs for spec in specs)])
        if config.backend == "onnx":
            from pixelplay.export.backend import use_onnx  # slow to import

            use_onnx(config, self.detectors, self.models.backbone and self.models.backbone.backbone)
        torch.set_num_threads(config.online.threads or os.cpu_count() or 1)  # Ultralytics sets one on two cores

    @classmethod
    def load(cls, run: str = "sample", overrides: Sequence[str] = ()) -> "Pipeline":
        """The run EXPERIMENT or EXPERIMENT/RUN; overrides: other options of it, as on the command line."""
        experiment, _, name = run.partition("/")
        return cls(load_config([f"experiment={experiment}", *([f"run={name}"] if name else []), *overrides]))

    def open(self, source: str) -> Capture:
        """What `source=` names, up to its first frame; see `open_source`."""
        return open_source(source, self.config.online, self.config.objects.tracks.fps, self.index.train)

    def run(self, frames: Frames | str, name: str = "frames", folder: Path | None = None) -> "Session":
        """Score frames: RGB arrays uint8 (H, W, 3), pairs of seconds and arrays, or a source by its name.

        name: of the footage, in events. folder: where clips, thumbnails and vectors of events are written; None: none.
        """
        if isinstance(frames, str):
            frames = self.open(frames)
        fps = self.config.online.fps or self.config.objects.tracks.fps
        if isinstance(frames, Capture):
            fps, name = frames.about.fps or fps, frames.about.name if name == "frames" else name
        return Session(self, frames, name, fps, folder)

    def begin(self, perception: Perception) -> "Stretch":
        """A new stretch of footage, which a perception looks at."""
        return Stretch(perception, open_streams(self.detectors, perception.footage), self.fusion.stream())

    def accept(self, event: str) -> list[str]:
        """Take an event for normal, from the next frame of all sessions on; returns what there is to say."""
        accept(self.config, event)
        return apply_accepted(self.config, self.detectors)


@dataclass(frozen=True, eq=False)
class Stretch:
    """Footage that goes on without a long gap, from its first frame."""

    perception: Perception
    streams: Mapping[str, Stream]
    fusion: FusionStream

    def score(self, look: Look) -> tuple[Moment, dict[str, MomentScores], Fused]:
        """The next frame, once its perception has looked at it."""
        moment = self.perception.follow(look)
        scores = {name: stream.step(moment) for name, stream in self.streams.items()}
        return moment, scores, self.fusion.step(moment, scores)


class Session(Iterator[Result]):
    """The results of one source, in order. Once it is over, `ended` holds the events that ended after the last one."""

    def __init__(self, pipeline: Pipeline, frames: Frames, name: str, fps: float, folder: Path | None):
        self._pipeline, self._folder = pipeline, folder
        self._now: tuple[Stretch, EventStream] | None = None
        self.ended: list[Event] = []
        self._capture = frames if isinstance(frames, Capture) else None
        self._looks = looks(self._capture or of_arrays(frames, fps), pipeline.models, fps, name)
        if self._capture is not None:  # others' iterables are read in the thread of who reads the results
            self._looks = Ahead(self._looks)

    def __next__(self) -> Result:
        try:
            look = next(self._looks)
        except StopIteration:
            self.close()
            raise
        if self._now is None or self._now[0].perception is not look.by:
            self.ended = self._finish()
            self._now = self._begin(look.by)
        over, self.ended = self.ended, []
        stretch, events = self._now
        moment, _, fused = stretch.score(look)
        happened = events.step(moment, fused)
        return Result(
            position=moment.position,
            number=moment.number,
            seconds=moment.seconds,
            image=moment.image,
            score=fused.score,
            threshold=happened.threshold,
            members=fused.members,
            objects=_objects(moment, fused, happened.unusual.tolist()),
            alarm=happened.alarm,
            started=happened.started,
            ended=[*over, *happened.ended],
            dropped=look.arrived.dropped,
            latency=max(0.0, time.monotonic() - look.arrived.at) if look.arrived.at else 0.0,
        )

    def close(self) -> None:
        """End the source and the events that go on, and wait until their files are written."""
        if self._capture is not None and isinstance(self._looks, Ahead):
            self._capture.close()  # first: the thread may be waiting for a frame
            self._looks.close()
        self.ended += self._finish()

    def _begin(self, perception: Perception) -> "tuple[Stretch, EventStream]":
        """A new stretch and its events, after those of the one before have ended."""
        pipeline, footage = self._pipeline, perception.footage
        for difference in differences(pipeline.index.train, footage.size, footage.fps):
            log.warning(f"{footage.name} has {difference}")
        return pipeline.begin(perception), pipeline.events.stream(footage.name, footage, self._folder)

    def _finish(self) -> list[Event]:
        """The events of the stretch that ends."""
        if self._now is None:
            return []
        (_, events), self._now = self._now, None
        ended = events.finish()
        events.close()
        return ended


def _objects(moment: Moment, fused: Fused, unusual: Sequence[bool]) -> list[ScoredObject]:
    tracks = moment.tracks
    scores = [None] * len(tracks) if fused.objects is None else fused.objects.tolist()
    rows = zip(tracks.track.tolist(), tracks.label.tolist(), tracks.xyxy.tolist(), scores, unusual, strict=True)
    return [ScoredObject(track, str(label), tuple(box), score, bool(high)) for track, label, box, score, high in rows]
