"""Stage `score`: raw scores of every detector, for the test videos and for held-out normal footage."""

import logging
import shutil

import pandas as pd

from pixelplay.artifacts import RunFiles, code_version, fingerprint, is_current, recorded, require_writable, write_table
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.errors import MissingArtifactError
from pixelplay.progress import progress_bar
from pixelplay.stages import detecting, prepare, train
from pixelplay.videos.index import Index
from pixelplay.videos.video import Video

log = logging.getLogger(__name__)


def pending(config: Config) -> str | None:
    index = prepare.load_index(config)
    names = [name for name in config.detectors if not is_scored(config, name, index)]
    return f"to score: {', '.join(names)}" if names else None


def run(config: Config) -> None:
    files = RunFiles.of(config)
    index = prepare.load_index(config)
    for name in config.detectors:
        if is_scored(config, name, index):
            log.info(f"score: {name} is up to date")
            continue
        if not train.is_trained(config, name, index):
            raise MissingArtifactError(
                f"{files.detector(name)}: no detector trained with these settings: "
                "run `python src/train.py` with the same options"
            )
        require_writable(files.scores(name).parent, "paths.outputs")
        key = inputs(config, name, index)
        outputs = [files.scores(name)]
        with recorded(files.record(f"score-{name}"), key, outputs):
            files.object_scores(name).unlink(missing_ok=True)  # of other settings, under which it had objects
            _score(config, name, detecting.with_objects(config, name, index), key)
            outputs += [path for path in [files.object_scores(name)] if path.exists()]


def inputs(config: Config, name: str, index: Index) -> str:
    """Fingerprint of all that a detector's scores depend on."""
    detector = config.detectors[name]
    return fingerprint(
        train.inputs(config, name, index), index.test_key, detector.scoring, code_version(__name__, follow=False)
    )


def is_scored(config: Config, name: str, index: Index) -> bool:
    return is_current(RunFiles.of(config).record(f"score-{name}"), inputs(config, name, index))


def _score(config: Config, name: str, index: Index, key: str) -> None:
    """Score video by video into a folder of parts, then join them; parts that are there already are kept."""
    from pixelplay.training.device import find_device, keep_freed_memory

    files = RunFiles.of(config)
    keep_freed_memory()
    detector = registry.create(name, config.detectors[name], find_device(config.device))
    detector.load(files.detector(name))
    parts = files.scores(name).parent / f".{name}.parts-{key}"
    for old in parts.parent.glob(f".{name}.parts-*"):
        if old != parts:
            shutil.rmtree(old)
    videos = [("test", video) for video in index.test] + [("calibration", video) for video in index.calibration]
    tables, objects = [], []
    with progress_bar(sum(len(video) for _, video in videos), "frame", f"scoring {name}") as bar:
        for i, (split, video) in enumerate(videos):
            part, of_objects = parts / f"{i:05d}.parquet", parts / f"{i:05d}-objects.parquet"
            if not part.exists():
                scores = detector.score(video)
                if scores.objects is not None:
                    write_table(of_objects, scores.objects.assign(split=split, video=video.id))
                write_table(part, _table(split, video, scores.streams))
            tables.append(pd.read_parquet(part))
            if of_objects.exists():
                objects.append(pd.read_parquet(of_objects))
            bar.update(len(video))
    if objects:
        write_table(files.object_scores(name), pd.concat(objects, ignore_index=True))
    write_table(files.scores(name), pd.concat(tables, ignore_index=True))
    shutil.rmtree(parts)
    log.info(f"score: {name} -> {files.scores(name)}")


def _table(split: str, video: Video, streams: dict) -> pd.DataFrame:
    tables = [
        pd.DataFrame({"split": split, "video": video.id, "frame": video.numbers, "stream": stream, "score": values})
        for stream, values in streams.items()
    ]
    return pd.concat(tables, ignore_index=True)
