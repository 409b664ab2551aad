"""What accepted events change: what detectors compare with, and by which normal scores fusion goes."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from pixelplay.accepted.layers import Layer, layers_of
from pixelplay.config import Config
from pixelplay.detectors.base import Accepts
from pixelplay.events.vectors import EventVectors
from pixelplay.objects import tables
from pixelplay.run.files import RunFiles
from pixelplay.run.fingerprints import fingerprint
from pixelplay.scores.table import COLUMNS

if TYPE_CHECKING:
    from pixelplay.detectors.base import Detector

Detectors = Mapping[str, Iterable["Detector"]]  # by name, several where they are of several seeds


def apply_accepted(config: Config, detectors: Detectors) -> list[str]:
    """Let loaded detectors take the run's accepted events for normal, and no others; returns what there is to say.

    Raises DamagedArtifactError for a layer that can't be read.
    """
    layers, remarks = layers_of(RunFiles.of(config)), list[str]()
    vectors = [_comparable(config, layer, remarks) for layer in layers]
    taken = [one for one in vectors if one is not None]
    accepting = {name: [one.accept(taken) for one in of if isinstance(one, Accepts)] for name, of in detectors.items()}
    names = ", ".join(name for name, changed in accepting.items() if any(changed))
    if layers:
        many = "1 accepted event is" if len(layers) == 1 else f"{len(layers)} accepted events are"
        remarks.insert(
            0, f"{many} taken as normal: {names or 'by no detector, since none compares with their objects'}"
        )
    return remarks


def with_accepted_scores(config: Config, streams: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Raw scores of frames, scores tables by stream, with those of events that were accepted with their scores.

    They count as held-out normal footage, by which members of the fusion are normalised.
    """
    found = dict(streams)
    for layer in layers_of(RunFiles.of(config)):
        scores = layer.scores()
        for stream, rows in () if scores is None else scores.groupby("stream", sort=False):
            if stream in found:
                rows = rows.assign(split="calibration", video=f"accepted/{layer.name}")
                found[str(stream)] = pd.concat([found[str(stream)], rows[list(COLUMNS)]], ignore_index=True)
    return found


def _comparable(config: Config, layer: Layer, remarks: list[str]) -> EventVectors | None:
    """The vectors of a layer's objects that were made as those of today; `remarks` says which were not."""
    vectors = layer.vectors()
    if vectors is None:
        return None
    now = identities(config, vectors.vectors)
    other = [name for name in vectors.vectors if layer.about.vectors.get(name) != now[name]]
    if other:
        remarks.append(
            f"{layer.name} is not compared by {', '.join(other)}, made with another network or other settings than "
            "those of the run today: remove it, and accept an event that was found with these"
        )
    return replace(vectors, vectors={name: of for name, of in vectors.vectors.items() if name not in other})


def identities(config: Config, names: Iterable[str]) -> dict[str, str]:
    """Fingerprints of what vectors with these names are made with."""
    made = {
        "crops": lambda: (tables.maps_settings(config, "crops"), tables.encoder_digest(config, "crops")),
        "flow": lambda: tables.flow_settings(config),
    }
    return {name: fingerprint(made[name]()) if name in made else "" for name in names}
