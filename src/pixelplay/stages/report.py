"""Stage `report`: one HTML page of what the run found. It reads the run's outputs alone, and computes nothing."""

import logging
from pathlib import Path
from typing import Any

from pixelplay.config import Config
from pixelplay.console import RESULTS
from pixelplay.evaluation.comparison import compared_files
from pixelplay.evaluation.speed import frames_per_second
from pixelplay.report.outcome import ablation_files
from pixelplay.run.artifacts import write_text
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import file_digests
from pixelplay.run.stage import Stage, Task
from pixelplay.run.weights_and_biases import log_run
from pixelplay.stages import ablate, evaluate, events, explain, fuse
from pixelplay.videos.index import Index, load_index

log = logging.getLogger(__name__)

VERSION = 4  # raised when the page of the same run looks different
FORMER = "the pictures were made with other settings; `python src/explain.py` with the same options makes new ones"


def tasks(config: Config) -> list[Task]:
    index, files = load_index(config), RunFiles.of(config)
    [explained] = explain.tasks(config)
    task = Task(
        stage="report",
        name="report",
        files=files,
        version=VERSION,
        settings={"noise_above": config.restore.noise_above, "compare": config.report.compare},
        contents=lambda: _contents(config, files),
        work=lambda: _report(config, index, files),
        reads=[*events.tasks(config), *evaluate.tasks(config), *([] if _are_former(explained) else [explained])],
        after=fuse.tasks(config),  # whose key is part of theirs; the submission need not be there
    )
    return [task]


STAGE = Stage("report", tasks)
pending = STAGE.pending


def run(config: Config) -> None:
    files = RunFiles.of(config)
    require_writable(files.report.parent, "paths.outputs")
    STAGE.run(config)
    RESULTS.info(f"report: {files.report}")
    for video in config.report.clips:
        log.info(f"report: {files.clip(video)}")
    log_run(config, "report")


def _contents(config: Config, files: RunFiles) -> dict[str, Any]:
    """The ablation, if there is one, the pictures, and whether they were made with these settings."""
    shown = ablation_files(files)
    ablation = dict(zip([path.name for path in shown], file_digests(shown), strict=True))
    compared = {"compared": compared_files(config)} if config.report.compare else {}
    pictures = file_digests([files.manifest]) if _are_former(*explain.tasks(config)) else "those of the run"
    return {"ablation": ablation, "is_current": _is_current(config, files), "pictures": pictures, **compared}


def _report(config: Config, index: Index, files: RunFiles) -> list[Path]:
    from pixelplay.report.gather import gather  # slow to import
    from pixelplay.report.page import render

    former = _are_former(*explain.tasks(config))
    if former:
        log.warning(f"report: {FORMER}")
    page = gather(config, index, frames_per_second(config, index), _is_current(config, files), FORMER if former else "")
    write_text(files.report, render(page))
    return [files.report]


def _are_former(explained: Task) -> bool:
    """Whether the pictures that there are were made with other settings, on a machine without frames, for instance."""
    return explained.record() is not None and explained.changed() is not None


def _is_current(config: Config, files: RunFiles) -> bool:
    return not ablation_files(files) or ablate.pending(config) is None
