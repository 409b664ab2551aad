"""Stage `explain`: pictures of where scores come from: those of the report, and of the frames that `show` names.

It is the last stage that needs frames, boxes and networks: what comes after it reads the outputs alone.
"""

import logging
from pathlib import Path

from pixelplay.config import Config
from pixelplay.console import RESULTS
from pixelplay.errors import ConfigError
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import file_digests
from pixelplay.run.stage import Stage, Task
from pixelplay.settings import alternatives
from pixelplay.stages import detect, events, extract, fuse, prepare, score, train
from pixelplay.videos.index import Index, load_index
from pixelplay.videos.truth import truth_files

log = logging.getLogger(__name__)

VERSION = 3  # raised when the same run gives other pictures for the report
NOTHING = {  # by `show.what`: why there is nothing to show
    "errors": "reconstructs frames: detector=[conv_ae], for instance",
    "neighbours": "compares frames with normal footage that it remembers: detector=[videopatchcore], for instance",
    "boxes": "uses detected objects: detector=[videopatchcore], for instance",
}


def tasks(config: Config) -> list[Task]:
    index, files = load_index(config), RunFiles.of(config)
    found = events.events_task(config)  # which reads what `fuse` made
    task = Task(
        stage="explain",
        name="explain",
        files=files,
        version=VERSION,
        settings={"report": config.report.model_dump(exclude={"compare"}), "noise_above": config.restore.noise_above},
        contents=lambda: file_digests(truth_files(files.truth, "test")),
        work=lambda: _explain(config, index),
        reads=[*found.reads, *score.tasks(config), found],
        after=[prepare.task(config), *detect.tasks(config), *extract.tasks(config), *train.tasks(config)],
    )
    return [task]


STAGE = Stage("explain", tasks)


def pending(config: Config) -> str | None:
    """Why there is work to do: pictures of the report, or those that `show` asks for."""
    return STAGE.pending(config) or ("show asks for pictures" if config.show.asked else None)


def run(config: Config) -> None:
    """Write the report's pictures, and those that `show` asks for; raises ConfigError for what can't be shown.

    Detected boxes can be shown before anything is trained or scored: the report's pictures, of events, come later.
    """
    files, index = RunFiles.of(config), load_index(config)
    _check_clips(config, index)
    require_writable(files.explain, "paths.outputs")
    if config.show.asked:
        _show(config, index)
        if fuse.pending(config) or events.events_task(config).pending():
            return
    STAGE.run(config)
    RESULTS.info(f"explain: {files.manifest}")


def _explain(config: Config, index: Index) -> list[Path]:
    from pixelplay.explain.gallery import write_gallery  # slow to import

    return write_gallery(config, index)


def _show(config: Config, index: Index) -> None:
    from pixelplay.explain.boxes import write_boxes
    from pixelplay.explain.error_maps import write_error_maps
    from pixelplay.explain.nearest import write_neighbours

    writers = {"errors": write_error_maps, "neighbours": write_neighbours, "boxes": write_boxes}
    wanted = config.show.what or (["boxes"] if config.show.split == "train" else list(writers))
    for task in score.tasks(config) if wanted != ["boxes"] else ():
        task.verified()
    written = {what: writers[what](config, index) for what in wanted}
    for path in (path for paths in written.values() for path in paths):
        log.info(f"explain: {path}")
    for what, paths in written.items():
        if not paths and (config.show.what or not any(written.values())):
            raise ConfigError(f"none of {', '.join(config.detectors)} {NOTHING[what]}")


def _check_clips(config: Config, index: Index) -> None:
    ids = [video.id for video in index.test]
    for video in config.report.clips:
        if video not in ids:
            raise ConfigError(f"report.clips: {video!r}: no such test video; {alternatives(video, ids)}")
