"""Stage `report`: one HTML page of what the run found, and annotated MP4s of the videos that are asked for.

What is on the page is gathered by `reporting`, drawn by `pixelplay.report`.
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pixelplay.ablation.tables import PICTURES, TITLES
from pixelplay.config import Config
from pixelplay.errors import ConfigError
from pixelplay.run.artifacts import write_text
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import file_digests
from pixelplay.run.stage import Stage, Task, digests_of, read_record
from pixelplay.settings import alternatives
from pixelplay.stages import ablate, evaluate, fuse
from pixelplay.videos.index import Index, load_index

log = logging.getLogger(__name__)

VERSION = 1  # raised when the page of the same run looks different


def tasks(config: Config) -> list[Task]:
    index, files = load_index(config), RunFiles.of(config)
    task = Task(
        stage="report",
        name="report",
        record_path=files.record("report"),
        version=VERSION,
        settings={"report": config.report.model_dump()},
        contents=lambda: _contents(config, files),
        work=lambda: _report(config, index, files),
        digests=digests_of(config),
        reads=[*fuse.tasks(config), *evaluate.tasks(config)],
    )
    return [task]


STAGE = Stage("report", tasks)
pending = STAGE.pending


def run(config: Config) -> None:
    """Write the page and the clips; raises ConfigError for a clip of a video that is none of the test's."""
    files = RunFiles.of(config)
    _check_clips(config, load_index(config))
    require_writable(files.report.parent, "paths.outputs")
    STAGE.run(config)
    log.info(f"report: {files.report}")
    for video in config.report.clips:
        log.info(f"report: {files.clip(video)}")


def _contents(config: Config, files: RunFiles) -> dict[str, Any]:
    """The ablation, which need not be there, and whether it is that of this configuration."""
    shown = ablation_files(files)
    names = [path.name for path in shown]
    return {"ablation": dict(zip(names, file_digests(shown), strict=True)), "current": ablation_is_of(config, files)}


def _report(config: Config, index: Index, files: RunFiles) -> list[Path]:
    from pixelplay.report import gather
    from pixelplay.report.gallery import write_annotated_clip
    from pixelplay.report.page import render  # what only drawing needs is slow to import

    outcome = gather.load_outcome(config, index)
    for video in config.report.clips:
        write_annotated_clip(config, outcome, video)
    write_text(files.report, render(gather.gather(config, outcome)))
    return [files.report, *map(files.clip, config.report.clips)]


def ablation_files(files: RunFiles) -> list[Path]:
    """The ablation's summary, tables and plots, where there is any table; the tables in the order shown."""
    tables = _in_order(files.ablation.glob("*.csv"), list(TITLES))
    summary = [path for path in [files.ablation / "summary.md"] if path.is_file()]
    return [*tables, *summary, *_in_order(files.ablation.glob("*.png"), list(PICTURES))] if tables else []


def ablation_is_of(config: Config, files: RunFiles) -> bool:
    """Whether the ablation that there is was made with these settings."""
    return not ablation_files(files) or ablate.pending(config) is None


def threshold_files(files: RunFiles) -> list[Path]:
    """Plots of the thresholds that held-out normal scores give, where `evaluate` has drawn any."""
    record = read_record(files.record("evaluate"))  # the user may have put others there
    written = [output.path for output in record.outputs] if record else []
    return sorted(path for path in written if path.parent == files.thresholds and path.is_file())


def _in_order(paths: Iterable[Path], names: list[str]) -> list[Path]:
    """By their names' places in `names`; others last."""
    return sorted(paths, key=lambda path: (names.index(path.stem) if path.stem in names else len(names), path.name))


def _check_clips(config: Config, index: Index) -> None:
    ids = [video.id for video in index.test]
    for video in config.report.clips:
        if video not in ids:
            raise ConfigError(f"report.clips: {video!r}: no such test video; {alternatives(video, ids)}")
