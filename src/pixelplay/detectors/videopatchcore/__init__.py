"""VideoPatchCore: memory banks of spatial and temporal features."""

from pixelplay.detectors.base import Spec

SPECS = [
    Spec(
        "videopatchcore",
        3,
        f"{__name__}.detector",
        tracks=True,
        only_in_domain=("in_domain",),
        frame_streams=("global",),
        extra="videopatchcore",
    )
]
