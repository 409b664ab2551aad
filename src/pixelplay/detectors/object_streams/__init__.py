"""Detectors of objects that each look at one property of them, with a small model of what is usual.

After Reiss and Hoshen, *Attribute-based Representations for Accurate and Interpretable Video Anomaly Detection* (arXiv
2212.00789), on tracks. They score the same rows, so that they are summed per object: see `pixelplay.scores.objects`.
"""

from pixelplay.detectors.base import Spec

SPECS = [
    Spec("object_motion", 1, f"{__name__}.motion", flow=True, trainer=(), extra="videopatchcore"),
    Spec("object_appearance", 1, f"{__name__}.appearance", crops=True, trainer=(), extra="videopatchcore"),
    Spec("object_place", 1, f"{__name__}.place", flow=True, trainer=()),
    Spec("object_class", 1, f"{__name__}.rarity", tracks=True, classes=True, trainer=()),
    Spec("event_completion", 1, f"{__name__}.completion.detector", tracks=True),
]
