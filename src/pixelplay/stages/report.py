"""Stage `report`: one HTML page of what the run found. It reads the run's outputs alone, and computes nothing."""

import logging

from pixelplay.code_version import PACKAGE, code_version
from pixelplay.config import Config
from pixelplay.evaluation.speed import frames_per_second
from pixelplay.report.outcome import ablation_files, threshold_files
from pixelplay.run.artifacts import is_current, not_made, recorded, write_text
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import file_digests, fingerprint
from pixelplay.stages import ablate, evaluate, explain, fuse, prepare
from pixelplay.videos.index import Index

log = logging.getLogger(__name__)

MODULES = ("gather", "run_facts", "charts", "distributions", "page", "tables", "timelines")  # of pixelplay.report


def pending(config: Config) -> str | None:
    index = prepare.load_index(config)
    current = is_current(RunFiles.of(config).record("report"), inputs(config, index))
    return None if current else "what it shows has changed"


def run(config: Config) -> None:
    files, index = RunFiles.of(config), prepare.load_index(config)
    if not fuse.is_fused(config, index):
        raise not_made(files.fused, "fusion", "fuse")
    if evaluate.pending(config):
        raise not_made(files.metrics, "metrics", "evaluate")
    if explain.pending(config):
        raise not_made(files.manifest, "pictures", "explain")
    key = inputs(config, index)
    if not is_current(files.record("report"), key):
        from pixelplay.report.gather import gather  # slow to import
        from pixelplay.report.page import render

        require_writable(files.report.parent, "paths.outputs")
        with recorded(files.record("report"), key, [files.report]):
            speeds = frames_per_second(config, index)
            write_text(files.report, render(gather(config, index, speeds, ablation_is_current(config, files))))
    log.info(f"report: {files.report}")
    for video in config.report.clips:
        log.info(f"report: {files.clip(video)}")


def inputs(config: Config, index: Index) -> str:
    """Fingerprint of all that the page shows except times, versions and the machine."""
    files = RunFiles.of(config)
    templates = sorted((PACKAGE / "report" / "templates").iterdir())
    shown = [files.metrics, *threshold_files(files), *ablation_files(files), *templates]
    shown = [path for path in shown if path.is_file()]
    contents = list(zip([path.name for path in shown], file_digests(shown), strict=True))
    code = [code_version(f"pixelplay.report.{module}", follow=False) for module in MODULES]
    return fingerprint(explain.inputs(config, index), ablation_is_current(config, files), contents, code)


def ablation_is_current(config: Config, files: RunFiles) -> bool:
    """Whether the ablation on disk, if there is one, was made with these settings."""
    return not ablation_files(files) or ablate.pending(config) is None
