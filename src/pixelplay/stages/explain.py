"""Stage `explain`: pictures of where scores come from: those of the report, and of the frames that `show` names.

It is the last stage that needs frames, boxes and networks: what comes after it reads the outputs alone.
"""

import logging

from pixelplay.code_version import code_version
from pixelplay.config import Config, alternatives
from pixelplay.errors import ConfigError
from pixelplay.run.artifacts import is_current, not_made, recorded
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import fingerprint
from pixelplay.stages import fuse, prepare, score
from pixelplay.videos.index import Index

log = logging.getLogger(__name__)

MODULES = ("clips", "error_maps", "frames", "gallery", "nearest", "nearest_figure", "scored_boxes")
NOTHING = {  # by `show.what`: why there is nothing to show
    "errors": "reconstructs frames: detector=[conv_ae], for instance",
    "neighbours": "compares frames with normal footage that it remembers: detector=[videopatchcore], for instance",
    "boxes": "uses detected objects: detector=[videopatchcore], for instance",
}


def pending(config: Config) -> str | None:
    index = prepare.load_index(config)
    current = is_current(RunFiles.of(config).record("explain"), inputs(config, index))
    return None if current else "what it pictures has changed"


def run(config: Config) -> None:
    """Write the report's pictures, and those that `show` asks for; raises ConfigError for what can't be shown."""
    files, index = RunFiles.of(config), prepare.load_index(config)
    _check_clips(config, index)
    key = inputs(config, index)
    current = is_current(files.record("explain"), key)
    if not current or config.show.asked:
        require_writable(files.explain, "paths.outputs")
        score.require_scored(config, index)
    if not current:
        if not fuse.is_fused(config, index):
            raise not_made(files.fused, "fusion", "fuse")
        from pixelplay.explain.gallery import write_gallery  # slow to import

        outputs = []
        with recorded(files.record("explain"), key, outputs):
            outputs += write_gallery(config, index)
    log.info(f"explain: {files.manifest}")
    if config.show.asked:
        _show(config, index)


def inputs(config: Config, index: Index) -> str:
    """Fingerprint of all that the report's pictures depend on."""
    labels = prepare.load_labels(config, index).labels
    code = [code_version(f"pixelplay.explain.{module}", follow=False) for module in MODULES]
    code += [code_version(f"pixelplay.{module}") for module in ("drawing.annotate", "report.manifest")]
    return fingerprint(fuse.inputs(config, index), config.report.model_dump(), config.show.count, labels, code)


def _show(config: Config, index: Index) -> None:
    from pixelplay.explain.boxes import write_boxes
    from pixelplay.explain.error_maps import write_error_maps
    from pixelplay.explain.nearest import write_neighbours

    writers = {"errors": write_error_maps, "neighbours": write_neighbours, "boxes": write_boxes}
    every = ["boxes"] if config.show.split == "train" else list(writers)
    written = {what: writers[what](config, index) for what in config.show.what or every}
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
