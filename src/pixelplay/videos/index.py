"""The index of a run: its videos, which of them are held out, and keys of the data. Written by `prepare`."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixelplay.errors import MissingArtifactError
from pixelplay.run.artifacts import damaged, read_json, write_json
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
    test_key: str  # and this one with any of a test video
    heldout: HeldoutConfig
    train: list[Video]
    test: list[Video]
    pseudo_key: str = ""  # changes with any clip with a pseudo-anomaly
    pseudo: list[Video] = field(default_factory=list)

    @property
    def fit(self) -> list[Video]:
        """Normal footage that detectors are fitted on."""
        return self._shared_out[0]

    @property
    def held(self) -> Heldout:
        """Normal footage that no detector is fitted on, by what it is for."""
        return self._shared_out[1]

    @cached_property
    def _shared_out(self) -> tuple[list[Video], Heldout]:
        return hold_out(self.train, self.heldout)

    def save(self, path: Path) -> None:
        value: dict[str, Any] = {
            "dataset": self.dataset,
            "train_key": self.train_key,
            "test_key": self.test_key,
            "heldout": self.heldout.model_dump(),
            "train": [video.as_json() for video in self.train],
            "test": [video.as_json() for video in self.test],
            "pseudo_key": self.pseudo_key,
            "pseudo": [video.as_json() for video in self.pseudo],
        }
        write_json(path, value)

    @classmethod
    def load(cls, path: Path) -> "Index":
        value = read_json(path, made_by="prepare")
        try:
            return cls(
                dataset=value["dataset"],
                train_key=value["train_key"],
                test_key=value["test_key"],
                heldout=HeldoutConfig.model_validate(value["heldout"]),
                train=[Video.from_json(v) for v in value["train"]],
                test=[Video.from_json(v) for v in value["test"]],
                pseudo_key=value["pseudo_key"],
                pseudo=[Video.from_json(v) for v in value["pseudo"]],
            )
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
            raise damaged(path, "prepare", f"or of another version of this project: {error!r}") from None


def load_index(config: "Config") -> Index:
    """The index that `prepare` wrote; raises MissingArtifactError where there is none, or one of other settings."""
    path = RunFiles.of(config).index
    index = Index.load(path)
    if (index.dataset, index.heldout) != (config.dataset.name, config.dataset.heldout):
        raise MissingArtifactError(f"{path} was made with other settings: run `python src/prepare.py` with these")
    return index
