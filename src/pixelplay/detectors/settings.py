"""Settings that every detector has."""

from typing import Any

from pixelplay.settings import FileName, Settings
from pixelplay.videos.settings import FrameFormat


class DetectorConfig(Settings):
    """`training` and `scoring` belong to the algorithm, which validates them: `training` decides what is learned,
    `scoring` only how it scores, so that a change there needs no new training.
    """

    algorithm: FileName
    frames: FrameFormat | None  # null: none from the cache
    training: dict[str, Any]
    scoring: dict[str, Any]
