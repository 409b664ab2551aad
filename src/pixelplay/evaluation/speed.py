"""How fast each detector scored footage."""

from pixelplay.config import Config
from pixelplay.run.artifacts import read_record
from pixelplay.run.files import RunFiles
from pixelplay.videos.index import Index


def frames_per_second(config: Config, index: Index) -> dict[str, float]:
    """Test and held-out frames per second of the last `score` run, by detector, model loading included.

    A resumed run looks faster than it is. Not part of metrics.json, whose bytes depend on scores and truth alone.
    """
    files = RunFiles.of(config)
    frames = sum(len(video) for video in [*index.test, *index.held.calibration])  # pseudo-anomalies: another record
    seconds = {name: read_record(files.record(f"score-{name}"), made_by="score").seconds for name in config.detectors}
    return {name: frames / max(of_detector, 0.1) for name, of_detector in seconds.items()}
