"""VideoPatchCore: memory banks of spatial and temporal features."""

from pixelplay.detectors.base import Spec

SPECS = [Spec("videopatchcore", 2, f"{__name__}.detector", tracks=True, extra="videopatchcore")]
