"""The backbone that describes objects for detectors: its maps of their crops are made once, for all of them."""

from pixelplay.backbones.exports import Exported, of_backbone
from pixelplay.backbones.frozen import Backbone
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.objects import tables

CROPS = "crops"  # the network's name, in the folder of each detector that needs it


def need_crops(config: Config, name: str) -> bool:
    """Whether a detector's objects are described by the run's backbone."""
    return tables.by_backbone(config, registry.spec(name, config.detectors[name]).needs)


def crops(config: Config, backbone: Backbone) -> Exported:
    """See `pixelplay.backbones.object_maps`."""
    features, cells = config.objects.features, tables.cells(config, "crops")
    before = {
        "images": "of an object the square around the centre of its box, clipped to the frame",
        "enlarge": features.enlarge,
        "every": f"one row in {features.every} of a track, of frames no noisier than noise_above where it has some",
        "noise_above": features.noise_above,
    }
    after = {
        "cells": cells,
        "map": f"both stages, averaged to {cells} x {cells} cells (adaptive), one after the other, as float16",
        "vector": "of a map, the means of its cells",
        "between": "two cropped rows of a track, maps are interpolated linearly in time; causally the one before stays",
        "score": "the detector's own, of its memory of normal objects: see docs/detectors.md",
    }
    return of_backbone(backbone, features.image_size, before, after)
