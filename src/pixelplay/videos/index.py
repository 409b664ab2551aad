"""The index of a run: its videos, which of them are held out, and keys of the data. Written by `prepare`."""

from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from pixelplay.errors import MissingArtifactError
from pixelplay.run.artifacts import damaged, explained, read_json, write_json
from pixelplay.run.files import RunFiles
from pixelplay.videos.heldout import Heldout, hold_out
from pixelplay.videos.settings import HeldoutConfig
from pixelplay.videos.video import Video

if TYPE_CHECKING:
    from pixelplay.config import Config


@dataclass(frozen=True)
class Index:
    dataset: str
    train_key: str  # changes with any file of a training video
    test_key: str  # changes with any file of a test video
    heldout: HeldoutConfig
    train: list[Video]
    test: list[Video]
    pseudo_key: str = ""  # changes with any clip with a pseudo-anomaly
    pseudo: list[Video] = field(default_factory=list)

    @property
    def fit(self) -> list[Video]:
        """Normal footage that detectors are fitted on."""
        return self._split[0]

    @property
    def held(self) -> Heldout:
        """Normal footage that no detector is fitted on, by its role."""
        return self._split[1]

    @cached_property
    def _split(self) -> tuple[list[Video], Heldout]:
        return hold_out(self.train, self.heldout)

    def save(self, path: Path) -> None:
        write_json(path, _adapter().dump_python(self, mode="json"))

    @classmethod
    def load(cls, path: Path) -> "Index":
        value = read_json(path, made_by="prepare")
        try:
            for video in [*value["train"], *value["test"], *value["pseudo"]]:
                if set(video) != {one.name for one in fields(Video)}:
                    raise ValueError("its videos have other fields")
            return _adapter().validate_python(value)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            problem = explained(error) if isinstance(error, ValidationError) else repr(error)
            raise damaged(path, "prepare", f"or written by another version of this project: {problem}") from None


@cache
def _adapter() -> TypeAdapter[Index]:
    return TypeAdapter(Index)


def load_index(config: "Config") -> Index:
    """The index that `prepare` wrote; raises MissingArtifactError if there is none, or it has other settings."""
    path = RunFiles.of(config).index
    index = Index.load(path)
    if (index.dataset, index.heldout) != (config.dataset.name, config.dataset.heldout):
        raise MissingArtifactError(f"{path} was made with other settings: run `python src/prepare.py` with these")
    return index
