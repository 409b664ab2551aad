"""Footage that is to be scored, and how it becomes the index of a prediction: decoded, restored, listed."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from pixelplay.config import Config
from pixelplay.restoration import dataset as restoring
from pixelplay.run.files import RunFiles, plain_name
from pixelplay.run.fingerprints import fingerprint
from pixelplay.run.stage import Task, digests_of, read_record
from pixelplay.stages import prepare
from pixelplay.videos.cache import FrameCache, read_contents, source_key
from pixelplay.videos.index import Index, differences, shown_as_learnt
from pixelplay.videos.layouts.raw import RawVideo
from pixelplay.videos.problem_table import remarks_on, write_problems

log = logging.getLogger(__name__)

VERSION = 1  # raised when the same files give other frames
RECORD = "predict-videos"  # of the task below


@dataclass(frozen=True)
class Footage:
    """The videos at a path, and their contents."""

    path: Path  # where they are
    videos: list[RawVideo]
    key: str  # changes with names and contents of the videos' files, not with their place

    @classmethod
    def of(cls, path: Path, videos: list[RawVideo], config: Config, trained: Index) -> "Footage":
        """Of the videos at a path; values of more than 8 bits are shown as in the trained run."""
        videos = [replace(raw, source=shown_as_learnt(raw.source, trained.train)) for raw in videos]
        digests = digests_of(config)
        read_contents(videos, digests)
        return cls(path, videos, fingerprint([source_key(raw, digests) for raw in videos]))


def prediction_of(config: Config, footage: Footage) -> Config:
    """The configuration whose `RunFiles` and index are those of a prediction, for functions of the stages.

    It is named after the path; other contents of that name get a folder of their own.
    """
    folder, name = RunFiles.of(config).predictions, plain_name(footage.path.name)
    paths = config.paths.model_copy(update=dict.fromkeys(("outputs", "checkpoints", "submissions"), folder))

    others = {"run": None, "name": None, "checkpoints_of": None, "paths": paths}

    def named(experiment: str) -> Config:
        return config.model_copy(update={"experiment": experiment, **others})

    record = read_record(RunFiles.of(named(name)).record(RECORD))
    taken = record is not None and record.contents["footage"] != footage.key
    return named(f"{name}-{footage.key[:8]}" if taken else name)


def task(config: Config, own: Config, trained: Index, footage: Footage) -> Task:
    """Decode and restore the videos as the run's own are, and write its index with these for its test videos."""
    formats = prepare.formats(config)
    learnt = {"footage": trained.train_key, "heldout": trained.heldout.model_dump()}
    settings = {"restore": restoring.decisive(config), "learnt_from": learnt}
    cache = config.paths.cache / f"predicted-{footage.key}"
    about = {"footage": footage.key, "path": str(footage.path), "cache": str(cache.resolve())}
    return Task(
        stage="predict",
        name=RECORD,
        files=RunFiles.of(own),
        version=VERSION,
        settings=settings,
        contents=lambda: {**about, "formats": [one.model_dump() for one in formats]},
        work=lambda: _prepare(config, RunFiles.of(own), trained, footage, cache, fingerprint(footage.key, settings)),
    )


def _prepare(config: Config, files: RunFiles, trained: Index, footage: Footage, cache: Path, key: str) -> list[Path]:
    formats = prepare.formats(config)
    prepare.require_device(config)
    leaving = config.dataset.model_copy(update={"on_unreadable": "skip"})  # others are wanted all the same
    decoding = config.model_copy(update={"dataset": leaving})
    cached, left_out = prepare.decode(decoding, footage.videos, FrameCache(cache))
    for problem in left_out:
        log.warning(f"predict: video {problem.video} is left out: {problem.problem}")
    problems = [*remarks_on(footage.videos, None), *left_out, *(p for one in cached for p in one.problems)]
    write_problems(files.problems, problems)
    for one in cached:
        for difference in differences(trained.train, one.video.size, one.video.fps):
            log.warning(f"predict: video {one.video.id} has {difference}")
    results = restoring.restore_videos(config, trained, [one.video for one in cached], formats)
    restoring.write_found(config, files.restoration, results)
    videos = [one.after for one in results]
    replace(trained, test=videos, test_key=key, pseudo=[], pseudo_key="").save(files.index)
    return [files.index, files.problems, files.restoration, *prepare.arrays(videos, formats)]
