"""A small run with two autoencoders and a report: what tests of the report, and others that need a whole run, share."""

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.stages import detect, evaluate, events, explain, fuse, prepare, report, score, train

OPTIONS = (
    *("experiment=tiny", "detector=[conv_ae_tiny,st_ae_tiny]", "workers=1", "device=cpu", "report.gallery=4"),
    *("dataset.sample.min_frames=30", "dataset.sample.max_frames=40", "pseudo.kinds=[freeze,foreign_patch]"),
)


def tiny(*overrides: str) -> Config:
    return load_config([*OPTIONS, *overrides])


def run_all(config: Config) -> None:
    """All stages but `ablate`."""
    for stage in (prepare, detect, train, score, fuse, events, evaluate, explain, report):
        stage.run(config)
