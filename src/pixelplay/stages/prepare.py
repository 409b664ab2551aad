"""Stage `prepare`: from a data set to the index of a run: frames decoded once, restored, and with planted anomalies."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixelplay import preconditions
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.errors import ConfigError, DataError
from pixelplay.objects import detection
from pixelplay.progress import progress_bar
from pixelplay.restoration import dataset as restoring
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import fingerprint
from pixelplay.run.stage import Task
from pixelplay.scores import submission
from pixelplay.synthetic import rendered
from pixelplay.synthetic.pseudo import dataset as pseudo
from pixelplay.videos.cache import (
    CachedVideo,
    FrameCache,
    Problem,
    UnreadableVideos,
    read_contents,
    source_key,
    truth_key,
)
from pixelplay.videos.decoded import bytes_needed, require_space
from pixelplay.videos.deep_footage import with_value_range
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.index import ROLES, Index, camera
from pixelplay.videos.index import load_index as load_index
from pixelplay.videos.layouts import read_dataset, roots
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.problem_table import remarks_on, write_problems
from pixelplay.videos.settings import FrameFormat
from pixelplay.videos.truth import load_labels as load_labels
from pixelplay.videos.truth import read_label_files, read_truth, save_truth, truth_files
from pixelplay.videos.video import Video, format_name

log = logging.getLogger(__name__)

VERSION = 2  # raised when the same settings and footage give other frames, clips or truth
SPLITS = {"train", "test"}
LARGEST_NUMBER = 2**63 - 1


def pending(config: Config) -> str | None:
    if not rendered.is_rendered(config):
        return "the data set has not been rendered with these settings"
    return task(config).pending()


def run(config: Config) -> None:
    files = RunFiles.of(config)
    _require_gap(config)
    if not files.record("prepare").is_file():  # there is work for certain: refused at once
        require_device(config)
    preconditions.require_all(config)
    if not rendered.is_rendered(config):
        rendered.render(config)
    videos = read_dataset(config.dataset)
    require_writable(files.outputs, "paths.outputs")
    require_writable(files.cache, "paths.cache")
    require_submittable(files, videos)
    task(config).run()


def task(config: Config) -> Task:
    """The one task of this stage; later ones depend on parts of its result, by the keys in the index."""
    shown = config.dataset.model_dump(exclude={"root", "candidates", "parts"})  # places decide nothing, contents do
    shown |= {"parts": list(config.dataset.parts)} if config.dataset.parts else {}
    settings = {"dataset": shown, "pseudo": config.pseudo.model_dump(), "restore": restoring.decisive(config)}
    return Task(
        stage="prepare",
        name="prepare",
        files=RunFiles.of(config),
        version=VERSION,
        settings=settings,
        contents=lambda: _contents(config),
        work=lambda: _prepare(config),
    )


def tasks(config: Config) -> list[Task]:
    return [task(config)]


def _contents(config: Config) -> dict[str, Any]:
    """The files of the data set, where they lie, and in which sizes their frames are wanted."""
    videos, digests = read_dataset(config.dataset), FrameCache(_cache_folder(config)).digests
    read_contents(videos, digests)
    keys = [(source_key(raw, digests), truth_key(raw, digests)) for raw in videos]
    sizes = [one.model_dump() for one in formats(config)]
    cache = str(_cache_folder(config).resolve())
    return {"footage": fingerprint(keys), "formats": sizes, "cache": cache, "images": config.restore.save_images}


def _prepare(config: Config) -> list[Path]:
    """Decode, restore and plant; returns the files written."""
    files, sizes = RunFiles.of(config), formats(config)
    require_device(config)
    videos = read_dataset(config.dataset)
    labels = read_label_files(videos)  # before the long decode: a damaged file is better known now
    videos, levels = with_value_range(videos, config.dataset.value_range)
    cached, left_out = decode(config, videos, FrameCache(_cache_folder(config)))
    _warn(left_out)
    readable = {(one.video.split, one.video.id) for one in cached}
    problems = [*remarks_on(videos, levels), *left_out, *(p for one in cached for p in one.problems)]
    videos = [raw for raw in videos if (raw.split, raw.id) in readable]
    index = _index(config, videos, cached)
    _tell_shares(index)
    tests = [raw for raw in videos if raw.split == "test"]
    truth = []
    for raw, video in zip(tests, index.test, strict=True):
        known, remarks = read_truth(raw, video, labels.get(raw.id))
        truth.append(known)
        problems += [Problem(raw.split, raw.id, -1, *remark) for remark in remarks]
    write_problems(files.problems, problems)
    index = restoring.restore_index(config, index, sizes)
    index, planted = pseudo.add_clips(config, index, sizes, _cache_folder(config))
    save_truth(files.truth, "test", truth)
    save_truth(files.truth, "pseudo", planted)
    index.save(files.index)
    tables = [files.index, files.problems, files.restoration, *pseudo.outputs(config, index)]
    tables += [*truth_files(files.truth, "test"), *truth_files(files.truth, "pseudo")]
    tables += [files.doubtful] if files.doubtful.exists() else []  # as `restore.flip` has it
    return [*tables, *arrays(index.every, sizes)]


def arrays(videos: Sequence[Video], formats: Sequence[FrameFormat]) -> list[Path]:
    """The cached frames of videos in these formats: as decoded, and as restored."""
    folders = {folder for video in videos for folder in (video.folder, video.restored) if folder}
    return [folder / f"{format_name(one)}.npy" for folder in folders for one in formats]


def _index(config: Config, videos: list[RawVideo], cached: list[CachedVideo]) -> Index:
    digests = FrameCache(_cache_folder(config)).digests
    keys = {split: [source_key(raw, digests) for raw in videos if raw.split == split] for split in SPLITS}
    cameras = {camera(one.video) for one in cached if one.video.split == "train"}
    return Index(
        dataset=config.dataset.name,
        train_key=fingerprint(keys["train"], *(["held out by camera"] if len(cameras) > 1 else [])),
        test_key=fingerprint(keys["test"], restoring.decisive(config)),
        heldout=config.dataset.heldout,
        train=[one.video for one in cached if one.video.split == "train"],
        test=[one.video for one in cached if one.video.split == "test"],
    )


def formats(config: Config) -> list[FrameFormat]:
    """The working sizes that some detector of the run, object detection, or restoration asks for."""
    wanted = [detector.frames for detector in config.detectors.values() if detector.frames]
    wanted += detection.formats(config, registry.needing(config, "boxes"))
    wanted += [config.restore.frames] if config.restore.flip != "none" else []
    asked = {(f.height, f.width, f.gray): f for f in wanted}
    return [asked[key] for key in sorted(asked)]


def require_device(config: Config) -> None:
    """Raise ConfigError for a device that is not there, before hours of decoding; PyTorch tells of those named."""
    if config.device not in ("auto", "cpu"):
        from pixelplay.training.device import find_device

        find_device(config.device)


def _require_gap(config: Config) -> None:
    """Raise ConfigError where a detector's window reaches from fitted footage into held-out footage of one video."""
    for name, detector in config.detectors.items():
        window = detector.training.get("window", detector.training.get("clip", 0))
        if isinstance(window, int) and window > config.dataset.heldout.gap:
            raise ConfigError(
                f"dataset.heldout.gap={config.dataset.heldout.gap}: {name} looks at {window} frames at once, so "
                f"held-out blocks must be as far from fitted ones: set dataset.heldout.gap={window}"
            )


def require_submittable(files: RunFiles, videos: list[RawVideo]) -> None:
    """Raise PixelPlayError for what would end the run at its submission: names, frame numbers, or its folder."""
    submission.check_names([raw.id for raw in videos], [raw.id for raw in videos if raw.split == "test"])
    for raw in videos:
        numbers = getattr(raw.source, "numbers", ())  # of images; a video file's frames are counted
        if numbers and max(numbers) > LARGEST_NUMBER:
            raise DataError(
                f"{raw.split} video {raw.id!r}: frame number {max(numbers)} is above {LARGEST_NUMBER}, the largest "
                "that tables hold; rename its files"
            )
    require_writable(files.submission.parent, "paths.submissions")


def _cache_folder(config: Config) -> Path:
    """What every run on this data set shares."""
    place = fingerprint(config.dataset.layout, *(root.resolve() for root in roots(config.dataset).values()))
    return config.paths.cache / f"{config.dataset.name}-{place}"


def decode(config: Config, videos: list[RawVideo], cache: FrameCache) -> tuple[list[CachedVideo], list[Problem]]:
    """The decoded videos, and a problem for each that can't be read, where `dataset.on_unreadable` is skip."""
    wanted = formats(config)
    new = [raw for raw in videos if cache.find(raw, wanted) is None]
    frames = sum(raw.source.expected_frames() for raw in new)
    # What video files announce can be wrong: whether there is room for them is seen while they are decoded.
    certain = sum(raw.source.expected_frames() for raw in new if isinstance(raw.source, ImageFolder))
    free = require_space(config.paths.cache, bytes_needed(certain, wanted), "paths.cache")
    needed = bytes_needed(frames, wanted)
    log.info(
        f"prepare: {len(videos)} videos, {len(new)} to decode: about {frames:,} frames, {needed / 2**20:,.0f} MB of "
        f"{free / 2**20:,.0f} MB free, into {cache.folder}/"
    )
    with progress_bar(frames, "frame", "decoding") as bar:
        workers = config.workers or os.cpu_count() or 1
        try:
            return cache.fill(videos, wanted, config.dataset.max_unreadable, workers, bar.update), []
        except UnreadableVideos as error:
            splits = {raw.split for raw in videos}
            if config.dataset.on_unreadable == "stop" or {one.video.split for one in error.readable} != splits:
                raise
            return error.readable, error.problems


def _warn(left_out: list[Problem]) -> None:
    for problem in left_out:
        log.warning(f"prepare: {problem.split} video {problem.video} is left out: {problem.problem}")
    tests = [problem.video for problem in left_out if problem.split == "test"]
    if tests:
        log.warning(f"prepare: THE SUBMISSION WILL NOT HAVE THESE {len(tests)} TEST VIDEOS: {', '.join(tests)}")


def _tell_shares(index: Index) -> None:
    """Log what the footage is for; raises DataError where it is too short to hold anything out."""
    fit, test = (sum(map(len, videos)) for videos in (index.fit, index.test))
    held = ", ".join(f"{sum(map(len, getattr(index.held, role))):,} for {role}" for role in ROLES)
    unused = sum(map(len, index.train)) - fit - sum(map(len, index.held))
    log.info(
        f"prepare: {fit:,} normal frames to learn from; held out: {held}"
        f"{f'; {unused:,} between them unused' if unused else ''}; {test:,} test frames in {len(index.test)} videos"
    )
    held_of = {camera(video) for role in ROLES for video in getattr(index.held, role)}
    for (width, height), fps in sorted({camera(video) for video in index.fit} - held_of, key=str):
        log.warning(
            f"prepare: no footage is held out of videos of {width}x{height} pixels{f' at {fps} fps' if fps else ''}, "
            "which are too short: thresholds are not made for them"
        )
