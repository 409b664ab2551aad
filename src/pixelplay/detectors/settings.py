"""Settings that every detector has."""

from typing import Any

from pixelplay.settings import FileName, Settings
from pixelplay.videos.settings import FrameFormat


class DetectorConfig(Settings):
    """What every detector's configuration has. `training` and `scoring` are its algorithm's own and validated by it:
    the first decide what is learnt, the second only how it is scored, so a change in them needs no new training.
    """

    algorithm: FileName
    frames: FrameFormat | None  # working size in the frame cache
    training: dict[str, Any]
    scoring: dict[str, Any]
