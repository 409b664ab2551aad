"""`pixelplay doctor`: what a run needs, checked before it starts. Writes and downloads nothing."""

import json
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pixelplay import preconditions, requirements
from pixelplay.config import Config
from pixelplay.errors import PixelPlayError
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import read_record
from pixelplay.stages import prepare
from pixelplay.videos.decoded import bytes_needed
from pixelplay.videos.layouts import read_dataset

GB = 2**30
# Records beside those of each detector.
OF_A_RUN = ("prepare", "flip_network", "detect", "extract-tracks", "fuse", "evaluate", "ablate")


class Finding(NamedTuple):
    about: str
    text: str
    ok: bool = True


class Frames(NamedTuple):
    """Numbers of frames of a data set."""

    train: int
    test: int


def run(config: Config) -> None:
    """Print what was found; exits with status 1 if something is missing."""
    data, frames = _data(config)
    findings = [data, _models(config), _packages(), _device(config), _disk(config, frames), _time(config, frames)]
    for finding in findings:
        text = finding.text.replace("\n", "\n" + " " * 18)
        print(f"{'ok' if finding.ok else 'PROBLEM':8}{finding.about:10}{text}")
    if not all(finding.ok for finding in findings):
        raise SystemExit(1)


def _data(config: Config) -> tuple[Finding, Frames | None]:
    sample, root = config.dataset.sample, config.dataset.root
    if sample is not None and root is not None and not root.is_dir():
        length = (sample.min_frames + sample.max_frames) // 2
        frames = Frames(sample.train_videos * length, sample.test_videos * length)
        return Finding("data set", f"prepare will render it into {root}/: about {sum(frames):,} frames"), frames
    try:
        videos = read_dataset(config.dataset)
        counts = {split: 0 for split in ("train", "test")}
        for video in videos:
            counts[video.split] += video.source.expected_frames()
    except PixelPlayError as error:
        return Finding("data set", str(error), ok=False), None
    frames = Frames(**counts)
    text = f"{len(videos)} videos, {frames.train:,} frames for training and {frames.test:,} for testing"
    return Finding("data set", text), frames


def _models(config: Config) -> Finding:
    try:
        preconditions.require_models(config, config.detectors)
    except PixelPlayError as error:
        return Finding("weights", str(error), ok=False)
    return Finding("weights", f"all that {', '.join(config.detectors)} need; also the packages for these settings")


def _packages() -> Finding:
    lacking = requirements.lacking(requirements.dependencies())
    listed = "".join(f"{package}: {found}\n" for package, found in lacking.items())
    text = f"{listed}{requirements.how_to_install(lacking)}" if lacking else "all dependencies are installed"
    return Finding("packages", f"Python {platform.python_version()}, {text}", ok=not lacking)


def _device(config: Config) -> Finding:
    from pixelplay.training.device import find_device

    try:
        device = find_device(config.device)
    except PixelPlayError as error:
        return Finding("device", str(error), ok=False)
    return Finding("device", f"{device}, {os.cpu_count()} CPU cores")


def _disk(config: Config, frames: Frames | None) -> Finding:
    cache = config.paths.cache
    there = next(folder for folder in (cache.absolute(), *cache.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    if RunFiles.of(config).index.is_file():
        return Finding("disk", f"frames are in {cache}/ already, {free / GB:,.1f} GB free")
    if frames is None:
        return Finding("disk", f"needed: unknown; {free / GB:,.1f} GB free in {cache}/")
    pseudo = len(config.pseudo.kinds) * len(config.pseudo.seeds) * config.pseudo.frames
    decoded = frames.train + 2 * (frames.test + pseudo)  # both of these are stored as decoded and as restored
    needed = bytes_needed(decoded, prepare.formats(config))
    text = f"frames need at most {needed / GB:,.1f} GB of {free / GB:,.1f} GB free in {cache}/; checkpoints come on top"
    return Finding("disk", text, ok=needed < free)


def _time(config: Config, frames: Frames | None) -> Finding:
    """The times of earlier runs, scaled by frames."""
    wanted = {*OF_A_RUN, *(f"{step}-{name}" for step in ("train", "score") for name in config.detectors)}
    wanted |= {f"score-{name}-pseudo" for name in config.detectors}
    needed = {f"{step}-{name}" for step in ("train", "score") for name in config.detectors} | {"prepare"}
    total, runs = 0.0, list[str]()
    for folder, earlier in _earlier_runs(config) if frames else ():
        for record in sorted(folder.glob("stages/*.json")):
            if record.stem in wanted and (found := read_record(record)):
                total += found.seconds * sum(frames or ()) / earlier
                wanted.discard(record.stem)
                runs = list(dict.fromkeys([*runs, f"{folder}/"]))
    unknown = sorted(needed & wanted)
    if not runs:
        return Finding("time", f"unknown: no earlier run in {config.paths.outputs}/ to go by")
    text = f"about {max(total / 60, 1):,.0f} min in all, by the times of {', '.join(runs)} scaled by frames"
    return Finding("time", text + (f"; unknown and not counted: {', '.join(unknown)}" if unknown else ""))


def _earlier_runs(config: Config) -> Iterator[tuple[Path, int]]:
    """Folders of prepared runs with their numbers of frames: this run's first, then the newest."""
    own = RunFiles.of(config).index
    indices = sorted(config.paths.outputs.rglob("index.json"), key=lambda path: (path != own, -path.stat().st_mtime))
    for path in indices:
        with suppress(OSError, ValueError, KeyError, TypeError):  # damaged, or of another version
            index = json.loads(path.read_bytes())
            if frames := sum(len(video["numbers"]) for video in [*index["train"], *index["test"]]):
                yield path.parent, frames
