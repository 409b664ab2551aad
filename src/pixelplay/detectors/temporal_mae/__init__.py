"""Temporal masked autoencoder on the feature maps of tracked objects."""

from pixelplay.detectors.base import Spec

SPECS = [Spec("temporal_mae", 1, f"{__name__}.detector", boxes=True, tracks=True, features=True)]
