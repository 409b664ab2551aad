"""How fast each detector scored footage."""

from typing import TYPE_CHECKING

from pixelplay.run.artifacts import missing
from pixelplay.run.files import RunFiles, of_seed
from pixelplay.run.stage import read_record
from pixelplay.videos.index import Index

if TYPE_CHECKING:
    from pixelplay.config import Config


def frames_per_second(config: "Config", index: Index) -> dict[str, float]:
    """Test and held-out frames per second of the last `score` run, by detector, model loading included.

    With several seeds it is that of the first. A resumed run looks faster than it is. Not part of metrics.json, whose
    bytes depend on scores and truth alone.
    """
    files = RunFiles.of(config)
    frames = sum(len(video) for video in [*index.test, *index.held.calibration])  # pseudo-anomalies: another record
    speeds = {}
    for name in config.detectors:
        path = files.record(f"score-{of_seed(name, config.trained_seeds[0])}")
        if (record := read_record(path)) is None:
            raise missing(path, "score")
        speeds[name] = frames / max(record.seconds, 0.1)
    return speeds
