"""Stage `prepare`: from a data set on disk to the index of the run: decode-once frames, restored test frames, and
clips of held-out footage with pseudo-anomalies.
"""

import csv
import io
import logging
import os
import shutil
from dataclasses import astuple, fields
from pathlib import Path

from pixelplay.artifacts import RunFiles, fingerprint, is_current, recorded, require_writable, write_json, write_text
from pixelplay.code_version import code_version
from pixelplay.config import Config, FrameFormat
from pixelplay.detectors import registry
from pixelplay.errors import DataError, MissingArtifactError, WeightsError
from pixelplay.progress import progress_bar
from pixelplay.scores import submission
from pixelplay.stages import detecting, pseudo, restoring
from pixelplay.videos.cache import (
    REPLACED,
    CachedVideo,
    FrameCache,
    Problem,
    bytes_needed,
    require_space,
    source_key,
    truth_key,
)
from pixelplay.videos.index import Index
from pixelplay.videos.layouts import find_root, read_dataset
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.video import format_name

log = logging.getLogger(__name__)

LARGEST_NUMBER = 2**63 - 1


def pending(config: Config) -> str | None:
    record = RunFiles.of(config).record("prepare")
    if not record.is_file() or not _is_rendered(config):
        return "the data set has not been decoded"
    current = is_current(record, _inputs(config, read_dataset(config.dataset)))
    return None if current else "the data set or its settings have changed"


def run(config: Config) -> None:
    files = RunFiles.of(config)
    _require_possible(config)
    if not _is_rendered(config):
        _render(config)
    videos = read_dataset(config.dataset)
    require_writable(files.outputs, "paths.outputs")
    require_writable(files.cache, "paths.cache")
    require_submittable(files, videos)
    inputs = _inputs(config, videos)
    if is_current(files.record("prepare"), inputs):
        log.info("prepare: up to date")
        return
    outputs = [files.index, files.problems, files.restoration]
    with recorded(files.record("prepare"), inputs, outputs):
        cached = _decode(config, videos)
        problems = [problem for one in cached for problem in one.problems]
        _write_problems(files.problems, problems)
        index = Index(
            dataset=config.dataset.name,
            train_key=fingerprint([source_key(raw) for raw in videos if raw.split == "train"]),
            test_key=fingerprint([source_key(raw) for raw in videos if raw.split == "test"], restoring.inputs(config)),
            heldout=config.dataset.heldout,
            train=[one.video for one in cached if one.video.split == "train"],
            test=[one.video for one in cached if one.video.split == "test"],
        )
        index = restoring.restore_index(config, index, formats(config))
        index = pseudo.add_clips(config, index, formats(config), _cache_folder(config))
        index.save(files.index)
        videos_there = [*index.train, *index.test, *index.pseudo]
        folders = {folder for video in videos_there for folder in (video.folder, video.restored) if folder}
        outputs += [folder / f"{format_name(f)}.npy" for folder in sorted(folders) for f in formats(config)]
        outputs += pseudo.outputs(config, index)
    _summarise(index, problems, files)


def load_index(config: Config) -> Index:
    """The index that `run` wrote; raises MissingArtifactError where there is none, or one made with other settings."""
    path = RunFiles.of(config).index
    index = Index.load(path)
    if (index.dataset, index.heldout) != (config.dataset.name, config.dataset.heldout):
        raise MissingArtifactError(f"{path} was made with other settings: run `python src/prepare.py` with these")
    return index


def formats(config: Config) -> list[FrameFormat]:
    """The working sizes that some detector of the run, object detection, or restoration asks for."""
    wanted = [detector.frames for detector in config.detectors.values() if detector.frames]
    wanted += detecting.formats(config)
    wanted += [config.restore.frames] if config.restore.flip != "none" else []
    asked = {(f.height, f.width, f.gray): f for f in wanted}
    return [asked[key] for key in sorted(asked)]


def _require_possible(config: Config) -> None:
    """Raise ConfigError for settings that a detector refuses, and WeightsError for weights that are not to be had: for
    all of them at once, so that who has no internet can fetch them in one go.
    """
    lacking = []
    for require, what in ((registry.check_settings, config.detectors), (detecting.require_weights, config)):
        try:
            require(what)
        except WeightsError as error:
            lacking.append(str(error))
    if lacking:
        raise WeightsError("\n".join(lacking))


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


def _inputs(config: Config, videos: list[RawVideo]) -> str:
    wanted = [f.model_dump() for f in formats(config)]
    keys = [(source_key(raw), truth_key(raw)) for raw in videos]
    folder = str(config.paths.cache.resolve())
    restore = restoring.inputs(config), config.restore.save_images
    layout = code_version(f"pixelplay.videos.layouts.{config.dataset.layout}")  # imported by its name
    settings = config.dataset.model_dump(), config.pseudo.model_dump()
    return fingerprint(settings, wanted, keys, folder, restore, code_version(__name__), layout)


def _cache_folder(config: Config) -> Path:
    """What every run on this data set shares."""
    place = fingerprint(config.dataset.layout, find_root(config.dataset).resolve())
    return config.paths.cache / f"{config.dataset.name}-{place}"


def _decode(config: Config, videos: list[RawVideo]) -> list[CachedVideo]:
    cache = FrameCache(_cache_folder(config))
    wanted = formats(config)
    new = [raw for raw in videos if not cache.holds(raw, wanted)]
    frames = sum(raw.source.expected_frames() for raw in new)
    needed = bytes_needed(frames, wanted)
    free = require_space(config.paths.cache, needed, "paths.cache")
    log.info(
        f"prepare: {len(videos)} videos, {len(new)} to decode: {frames:,} frames, {needed / 2**20:,.0f} MB of "
        f"{free / 2**20:,.0f} MB free, into {cache.folder}/"
    )
    with progress_bar(frames, "frame", "decoding") as bar:
        workers = config.workers or os.cpu_count() or 1
        return cache.fill(videos, wanted, config.dataset.max_unreadable, workers, bar.update)


def _is_rendered(config: Config) -> bool:
    """False where the data set is the project's own and is missing, or was rendered with other settings."""
    sample, root = config.dataset.sample, config.dataset.root
    return sample is None or root is None or is_current(_render_record(root), _render_key(config))


def _render(config: Config) -> None:
    sample, root = config.dataset.sample, config.dataset.root
    assert sample is not None and root is not None
    from pixelplay.videos.sample import render_sample

    require_writable(root.parent, "dataset.root")
    if root.is_dir() and any(root.iterdir()) and not _render_record(root).is_file():
        raise DataError(f"{root} is not empty and was not rendered by this project: set dataset.root=FOLDER")
    log.info(f"prepare: rendering the sample data set into {root}/")
    new, old = root.with_name(f"{root.name}.new"), root.with_name(f"{root.name}.old")
    for leftover in (new, old):  # of a killed run
        shutil.rmtree(leftover, ignore_errors=True)
    render_sample(new, sample, config.workers)
    write_json(_render_record(new), {"fingerprint": _render_key(config), "outputs": []})
    if root.exists():
        os.replace(root, old)  # deleted in place, it would be unrecognisable if that were interrupted
    os.replace(new, root)
    shutil.rmtree(old, ignore_errors=True)


def _render_record(root: Path) -> Path:
    return root / ".rendered.json"


def _render_key(config: Config) -> str:
    assert config.dataset.sample is not None
    return fingerprint(config.dataset.sample.model_dump(), code_version("pixelplay.videos.sample"))


def _write_problems(path: Path, problems: list[Problem]) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([field.name for field in fields(Problem)])
    rows.writerows(astuple(problem) for problem in problems)
    write_text(path, text.getvalue())


def _summarise(index: Index, problems: list[Problem], files: RunFiles) -> None:
    fit, held, test = (sum(map(len, videos)) for videos in (index.fit, index.calibration, index.test))
    log.info(
        f"prepare: {fit:,} normal frames to learn from, {held:,} held out, "
        f"{test:,} test frames in {len(index.test)} videos"
    )
    if problems:
        replaced = sum(problem.treatment == REPLACED for problem in problems)
        others = len(problems) - replaced
        log.info(f"prepare: {replaced} unreadable frames replaced, {others} other remarks: {files.problems}")
