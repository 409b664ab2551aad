"""Online inference, step by step and together: frames a second from decoding to events.

python -m benchmarks.online experiment=ped2 run=NAME …

Scores a test video of a finished run as `infer` does, first with each step timed in one thread, then by `Pipeline`, in
which a thread reads, one looks at the next frame, and others write. `alone` is the network without what is around it.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from benchmarks.results import record
from pixelplay.cli import load_config
from pixelplay.detectors import registry
from pixelplay.detectors.stream import StreamFormat
from pixelplay.objects.tables import NEEDS
from pixelplay.online.detectors import open_streams
from pixelplay.online.feeds import frames_of
from pixelplay.online.frame import Arrived
from pixelplay.online.outputs import open_outputs
from pixelplay.online.perception import Models, Perception
from pixelplay.online.pipeline import Pipeline
from pixelplay.videos.video import Video

WARM = 10  # frames that are not counted


class Clock:
    """Seconds by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - start


def main() -> None:
    config = load_config(sys.argv[1:])
    pipeline = Pipeline(config)
    video = max(pipeline.index.test, key=len)
    frames = arrived(pipeline, video)
    rows = [["decode", *cells(decoding(pipeline, video), len(frames))]]
    if pipeline.models.yolo:
        boxes = pipeline.models.yolo.boxes
        alone = timed(lambda one: boxes([one.image], 0), frames)
        named = f"{config.weights.yolo.rpartition('/')[2]} at {config.objects.yolo.image_size}"
        rows.append([f"YOLO alone, {named}", *alone])
    rows += stepwise(pipeline, video, frames)
    for names in sets(pipeline):
        rows.append([f"frames to raw scores: {', '.join(names)}", *of_set(pipeline, video, frames, names)])
    rows.append(["**source to events, with video.mp4, by `Pipeline`**", *end_to_end(pipeline, video, len(frames))])
    size, threads = "{}x{}".format(*video.size), torch.get_num_threads()
    note = (
        f"{video.id} of {config.dataset.name}, {len(frames)} frames of {size}; detectors {', '.join(pipeline.names)}; "
        f"PyTorch with {threads} thread(s), device {config.device}. Options: `{' '.join(shown(sys.argv[1:]))}`."
    )
    command = "python -m benchmarks.online experiment=… run=…"
    section = f"online-{config.run}" if config.run else "online"  # one for each run
    record(section, ["step", "ms a frame", "frames/s"], rows, ["torch", "ultralytics", "faiss-cpu"], note, command)


def arrived(pipeline: Pipeline, video: Video) -> list[Arrived]:
    assert video.originals is not None
    return list(frames_of(video.originals.source, video.id, rate_of(pipeline, video)))


def rate_of(pipeline: Pipeline, video: Video) -> float:
    return video.fps or pipeline.config.objects.tracks.fps


def decoding(pipeline: Pipeline, video: Video) -> float:
    start = time.perf_counter()
    arrived(pipeline, video)
    return time.perf_counter() - start


def cells(seconds: float, count: int) -> list[str]:
    each = seconds / count
    return [f"{1000 * each:.2f}", f"{1 / each:,.0f}" if each < 0.01 else f"{1 / each:,.1f}"]


def timed(work: Callable[[Arrived], object], frames: list[Arrived]) -> list[str]:
    for one in frames[:WARM]:
        work(one)
    start = time.perf_counter()
    for one in frames[WARM:]:
        work(one)
    return cells(time.perf_counter() - start, len(frames) - WARM)


def stepwise(pipeline: Pipeline, video: Video, frames: list[Arrived]) -> list[list[str]]:
    """Each step of all of the run's detectors, in one thread."""
    footage, clock = StreamFormat(video.size, rate_of(pipeline, video), video.id), Clock()
    stretch = pipeline.begin(Perception(pipeline.models, footage))
    with tempfile.TemporaryDirectory() as folder:
        events = pipeline.events.stream(video.id, footage, Path(folder))
        for t, one in enumerate(frames):
            if t == WARM:
                clock.seconds.clear()
            with clock.of("look: restore, detect"):
                look = stretch.perception.look(one)
            with clock.of("follow: tracks, flow, crops"):
                moment = stretch.perception.follow(look)
            scores = {}
            for name, stream in stretch.streams.items():
                with clock.of(f"`{name}`, every {stream.stride} frame(s)"):
                    scores[name] = stream.step(moment)
            with clock.of("fusion"):
                fused = stretch.fusion.step(moment, scores)
            with clock.of("events and their files"):
                events.step(moment, fused)
        events.finish()
        events.close()
    return [[step, *cells(seconds, len(frames) - WARM)] for step, seconds in clock.seconds.items()]


def sets(pipeline: Pipeline) -> list[list[str]]:
    """Each detector alone, and those of objects together."""
    specs = {name: registry.spec(name, pipeline.config.detectors[name]) for name in pipeline.names}
    of_objects = [name for name, spec in specs.items() if spec.tracks]
    return [*([name] for name in pipeline.names), *([of_objects] if 1 < len(of_objects) < len(specs) else [])]


def of_set(pipeline: Pipeline, video: Video, frames: list[Arrived], names: list[str]) -> list[str]:
    """Restored frames to raw scores with these detectors only, and what of objects they need."""
    config = pipeline.config
    specs = [registry.spec(name, config.detectors[name]) for name in names]
    own = config.model_copy(update={"detectors": {name: config.detectors[name] for name in names}})
    models = Models.load(own, [need for need in NEEDS if any(need in spec.needs for spec in specs)])
    footage = StreamFormat(video.size, rate_of(pipeline, video), video.id)
    perception = Perception(models, footage)
    streams = open_streams({name: pipeline.detectors[name] for name in names}, footage)

    def step(one: Arrived) -> None:
        moment = perception.step(one)
        for stream in streams.values():
            stream.step(moment)

    return timed(step, frames)


def end_to_end(pipeline: Pipeline, video: Video, count: int) -> list[str]:
    assert video.originals is not None
    files = video.originals.source.files()
    place = files[0] if len(files) == 1 else files[0].parent
    start = 0.0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        capture = stack.enter_context(pipeline.open(str(place)))
        outputs = stack.enter_context(open_outputs(pipeline.config.online, capture.about, folder))
        for result in pipeline.run(capture, folder=folder / "events"):
            outputs.write(result)
            if result.position == WARM - 1:
                start = time.perf_counter()
    return cells(time.perf_counter() - start, count - WARM)


def shown(options: list[str]) -> list[str]:
    """Without the folders of this machine."""
    named = [option.partition("=") for option in options]
    return [f"{key}={value.rpartition('/')[2]}" if "/" in value else f"{key}={value}" for key, _, value in named]


if __name__ == "__main__":
    main()
