"""Stage `report`: one HTML page of what the run found, and annotated MP4s of the videos that are asked for.

What is on the page is gathered by `reporting`, drawn by `pixelplay.report`.
"""

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path

from pixelplay.ablation.tables import PICTURES, TITLES
from pixelplay.code_version import PACKAGE, code_version
from pixelplay.config import Config, alternatives
from pixelplay.errors import ConfigError
from pixelplay.run.artifacts import is_current, not_made, outputs_of, recorded, write_text
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import fingerprint
from pixelplay.stages import ablate, evaluate, fuse, prepare
from pixelplay.videos.index import Index

log = logging.getLogger(__name__)

DRAWING = ("charts", "clips", "distributions", "page", "pictures", "tables", "timelines")  # of pixelplay.report


def pending(config: Config) -> str | None:
    index = prepare.load_index(config)
    current = is_current(RunFiles.of(config).record("report"), inputs(config, index))
    return None if current else "what it shows has changed"


def run(config: Config) -> None:
    """Write the page and the clips; raises ConfigError for a clip of a video that is none of the test's."""
    files = RunFiles.of(config)
    index = prepare.load_index(config)
    _check_clips(config, index)
    if not fuse.is_fused(config, index):
        raise not_made(files.fused, "fusion", "fuse")
    if evaluate.pending(config):
        raise not_made(files.metrics, "metrics", "evaluate")
    key = inputs(config, index)
    if not is_current(files.record("report"), key):
        from pixelplay.report import gather
        from pixelplay.report.gallery import write_annotated_clip
        from pixelplay.report.page import render  # what only drawing needs is slow to import

        require_writable(files.report.parent, "paths.outputs")
        clips = [files.clip(video) for video in config.report.clips]
        with recorded(files.record("report"), key, [files.report, *clips]):
            outcome = gather.load_outcome(config, index)
            for video in config.report.clips:
                write_annotated_clip(config, outcome, video)
            write_text(files.report, render(gather.gather(config, outcome)))
    log.info(f"report: {files.report}")
    for video in config.report.clips:
        log.info(f"report: {files.clip(video)}")


def inputs(config: Config, index: Index) -> str:
    """Fingerprint of all that the page shows, but for times, versions and the machine."""
    files = RunFiles.of(config)
    labels = prepare.load_labels(config, index).labels
    shown = [
        files.metrics,
        *threshold_files(files),
        *ablation_files(files),
        *sorted((PACKAGE / "report" / "templates").iterdir()),
    ]
    contents = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in shown if path.is_file()]
    code = [
        *(code_version(f"pixelplay.report.{module}", follow=False) for module in ("gather", "gallery", "run_facts")),
        *(code_version(f"pixelplay.report.{module}") for module in DRAWING),
    ]
    settings = [config.report.model_dump(), ablation_is_of(config, files)]
    return fingerprint(fuse.inputs(config, index), settings, labels, contents, code)


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
    written = outputs_of(files.record("evaluate"))  # the user may have put others there
    return sorted(path for path in written if path.parent == files.thresholds and path.is_file())


def _in_order(paths: Iterable[Path], names: list[str]) -> list[Path]:
    """By their names' places in `names`; others last."""
    return sorted(paths, key=lambda path: (names.index(path.stem) if path.stem in names else len(names), path.name))


def _check_clips(config: Config, index: Index) -> None:
    ids = [video.id for video in index.test]
    for video in config.report.clips:
        if video not in ids:
            raise ConfigError(f"report.clips: {video!r}: no such test video; {alternatives(video, ids)}")
