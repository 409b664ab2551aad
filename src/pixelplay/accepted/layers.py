"""Accepted events on disk: a layer for each, which can be taken away again.

A layer is a folder of `RunFiles.accepted`. It holds all that is needed of its event, which may be gone where it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import AwareDatetime

from pixelplay.events.event import Event, Written
from pixelplay.events.vectors import EventVectors
from pixelplay.run.artifacts import read_model, read_table, write_json, write_table
from pixelplay.run.atomic import remove, replaced_folder
from pixelplay.run.files import RunFiles
from pixelplay.run.locks import turn

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

ABOUT, VECTORS, SCORES = "event.json", "vectors.npz", "scores.parquet"
MADE_BY = "accept"


class About(Written):
    """The file `event.json` of a layer."""

    event: Event
    found_in: str  # the file that lists it, from the folder of the run's fusion
    accepted: AwareDatetime
    vectors: dict[str, str]  # what its vectors were made with, by their names: see `identities`


@dataclass(frozen=True)
class Layer:
    folder: Path
    about: About

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def calibrates(self) -> bool:
        """Whether the scores of its frames are taken for normal ones."""
        return (self.folder / SCORES).exists()

    def vectors(self) -> EventVectors | None:
        """Of its objects; None where none was followed. Raises DamagedArtifactError."""
        return EventVectors.load(self.folder / VECTORS, MADE_BY) if self.about.vectors else None

    def scores(self) -> pd.DataFrame | None:
        """Raw scores of its frames by the run's detectors, columns stream, frame and score; None where not asked for.

        Raises DamagedArtifactError.
        """
        return read_table(self.folder / SCORES, MADE_BY) if self.calibrates else None


def layers_of(files: RunFiles) -> list[Layer]:
    """The layers of a run, in the order in which they were accepted; raises DamagedArtifactError."""
    paths = [path for path in files.accepted.glob(f"*/{ABOUT}") if not path.parent.name.startswith(".")]
    found = [Layer(path.parent, read_model(path, About, MADE_BY)) for path in paths]
    return sorted(found, key=lambda one: (one.about.accepted, one.name))


def write_layer(
    files: RunFiles,
    event: Event,
    found_in: str,
    vectors: EventVectors | None,
    made_with: Mapping[str, str],
    scores: pd.DataFrame | None,
) -> tuple[Layer, bool]:
    """The layer of an event, and whether it is new: one that is there stays, unless `scores` are added to it.

    It is called like the event; events of other files may be called so, too, and are numbered.
    """
    with changing(files):
        known = layers_of(files)
        same = [one for one in known if (one.about.event, one.about.found_in) == (event, found_in)]
        if same and (scores is None or same[0].calibrates):
            return same[0], False
        taken = {one.name for one in known} - {one.name for one in same}
        names = (event.id if number == 1 else f"{event.id}-{number}" for number in count(1))
        folder = files.accepted / next(name for name in names if name not in taken)
        now = datetime.now().astimezone()
        about = About(event=event, found_in=found_in, accepted=now, vectors=dict(made_with))
        with replaced_folder(folder) as temporary:
            if vectors is not None:
                vectors.save(temporary / VECTORS)
            if scores is not None:
                write_table(temporary / SCORES, scores)
            write_json(temporary / ABOUT, about.model_dump(mode="json"))
    return Layer(folder, about), True


def delete_layer(files: RunFiles, layer: Layer) -> None:
    with changing(files):
        (layer.folder / ABOUT).unlink()  # without it, what is left of a killed process is no layer
        remove(layer.folder)


def changing(files: RunFiles) -> "AbstractContextManager[None]":
    """One process at a time changes a run's layers; `infer` may be one, for days, and reads them only."""
    return turn(files.accepted, f"the accepted events of {files.fusion}/")
