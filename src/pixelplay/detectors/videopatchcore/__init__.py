"""VideoPatchCore: memory banks of spatial and temporal features."""

from pixelplay.detectors.base import Spec

SPECS = [Spec("videopatchcore", 1, f"{__name__}.detector", boxes=True, extra="videopatchcore")]
