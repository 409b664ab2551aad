"""Two scorers on VideoMAE: masked reconstruction and normal profile."""

from pixelplay.detectors.base import Spec

SPECS = [
    Spec("videomae_profile", 1, f"{__name__}.profile", extra="videomae"),
    Spec("videomae_reconstruction", 1, f"{__name__}.reconstruction", extra="videomae"),
]
