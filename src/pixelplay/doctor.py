"""`pixelplay doctor`: what a run needs, checked before it starts. Writes and downloads nothing."""

import os
import platform
import shutil
from collections import Counter

from pixelplay import preconditions, requirements
from pixelplay.config import Config
from pixelplay.console import wrapped
from pixelplay.durations import earlier_runs
from pixelplay.errors import MissingPackageError, PixelPlayError
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import read_record
from pixelplay.stages import prepare
from pixelplay.videos.decoded import bytes_needed
from pixelplay.videos.layouts import read_dataset

GB = 2**30
# Records beside those of each detector.
OF_A_RUN = ("prepare", "flip_network", "detect", "extract-tracks", "fuse", "events", "evaluate", "ablate")


def run(config: Config) -> None:
    """Print what was found; exits with status 1 if something is missing."""
    frames = Counter[str]()  # by split, where the data set can be read
    checks = {
        "data set": lambda: _data(config, frames),
        "weights": lambda: _models(config),
        "packages": _packages,
        "device": lambda: _device(config),
        "disk": lambda: _disk(config, frames),
        "time": lambda: _time(config, frames),
    }
    sound = True
    for about, check in checks.items():
        try:
            mark, text = "ok", check()
        except PixelPlayError as error:
            mark, text, sound = "PROBLEM", str(error), False
        print(wrapped(f"{mark:8}{about:10}{text}".replace("\n", "\n" + " " * 18), " " * 18))
    if not sound:
        raise SystemExit(1)


def _data(config: Config, frames: Counter[str]) -> str:
    """Also adds to `frames` how many there are."""
    sample, root = config.dataset.sample, config.dataset.root
    if sample is not None and root is not None and not root.is_dir():
        length = (sample.min_frames + sample.max_frames) // 2
        frames.update(train=sample.train_videos * length, test=sample.test_videos * length)
        return f"prepare will render it into {root}/: about {frames.total():,} frames"
    videos, counts = read_dataset(config.dataset), Counter[str]()
    for video in videos:
        counts[video.split] += video.source.expected_frames()
    frames.update(counts)
    return f"{len(videos)} videos, {counts['train']:,} frames for training and {counts['test']:,} for testing"


def _models(config: Config) -> str:
    preconditions.require_models(config, config.detectors)
    return f"all that {', '.join(config.detectors)} need; also the packages for these settings"


def _packages() -> str:
    python, lacking = f"Python {platform.python_version()}", requirements.lacking(requirements.dependencies())
    if lacking:
        listed = "".join(f"{package}: {found}\n" for package, found in lacking.items())
        raise MissingPackageError(f"{python}, {listed}{requirements.how_to_install(lacking)}")
    return f"{python}, all dependencies are installed"


def _device(config: Config) -> str:
    from pixelplay.training.device import find_device

    return f"{find_device(config.device)}, {os.cpu_count()} CPU cores"


def _disk(config: Config, frames: Counter[str]) -> str:
    cache = config.paths.cache
    there = next(folder for folder in (cache.absolute(), *cache.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    if RunFiles.of(config).index.is_file():
        return f"frames are in {cache}/ already, {free / GB:,.1f} GB free"
    if not frames:
        return f"needed: unknown; {free / GB:,.1f} GB free in {cache}/"
    pseudo = len(config.pseudo.kinds) * len(config.pseudo.seeds) * config.pseudo.frames
    decoded = frames["train"] + 2 * (frames["test"] + pseudo)  # both of these are stored as decoded and as restored
    needed = bytes_needed(decoded, prepare.formats(config))
    text = f"frames need at most {needed / GB:,.1f} GB of {free / GB:,.1f} GB free in {cache}/; checkpoints come on top"
    if needed >= free:
        raise PixelPlayError(text)
    return text


def _time(config: Config, frames: Counter[str]) -> str:
    """The times of earlier runs, scaled by frames."""
    needed = {"prepare", *(f"{step}-{name}" for step in ("train", "score") for name in config.detectors)}
    wanted = {*OF_A_RUN, *needed, *(f"score-{name}-pseudo" for name in config.detectors)}
    total, runs = 0.0, dict[str, None]()
    for folder, earlier in earlier_runs(config) if frames else ():
        for record in sorted(folder.glob("stages/*.json")):
            if record.stem in wanted and (found := read_record(record)):
                total += found.seconds * frames.total() / earlier
                wanted.discard(record.stem)
                runs[f"{folder}/"] = None
    if not runs:
        return f"unknown: no earlier run in {config.paths.outputs}/ to go by"
    unknown = sorted(needed & wanted)
    text = f"about {max(total / 60, 1):,.0f} min in all, by the times of {', '.join(runs)} scaled by frames"
    return text + (f"; unknown and not counted: {', '.join(unknown)}" if unknown else "")
