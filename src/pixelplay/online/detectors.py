"""The trained detectors of a run, loaded to score streams."""

import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.stream import MomentScores, Stream, StreamFormat, Streams
from pixelplay.errors import ConfigError, MissingArtifactError
from pixelplay.objects.moments import Moment
from pixelplay.run.files import RunFiles, of_seed

if TYPE_CHECKING:  # importing it imports torch
    import torch

    from pixelplay.detectors.base import Detector

log = logging.getLogger(__name__)

BEST, LAST = "best", "last"
WEIGHTS = "weights.safetensors"  # of the detectors that keep the last epoch beside the best


def load_detectors(config: Config, names: Iterable[str], device: "torch.device") -> dict[str, list["Detector"]]:
    """By name the trained detector, or with several seeds one for each, at the epoch that `checkpoint` names.

    Raises MissingArtifactError and ConfigError as `Detector.load` does.
    """
    loaded = {}
    for name in names:
        own = _settings(config, name)
        loaded[name] = [registry.create(name, own, device) for _ in config.trained_seeds]
        for detector, seed in zip(loaded[name], config.trained_seeds, strict=True):
            with _folder(config, name, seed) as folder:
                detector.load(folder)
    return loaded


def streaming(config: Config, device: "torch.device") -> list[str]:
    """Those of the run's detectors that can score frame by frame."""
    return [name for name, own in config.detectors.items() if isinstance(registry.create(name, own, device), Streams)]


class MeanStream:
    """The mean of the scores of one detector trained with several seeds, as stage `score` writes it."""

    def __init__(self, streams: Sequence[Stream]):
        self._streams = streams

    @property
    def stride(self) -> int:
        return self._streams[0].stride

    def step(self, moment: Moment) -> MomentScores:
        found = [stream.step(moment) for stream in self._streams]
        first = found[0]
        objects = None
        if first.objects is not None:
            every = [one.objects or {} for one in found]
            objects = {stream: _mean([of[stream] for of in every]) for stream in first.objects}
        return MomentScores({s: float(_mean([one.streams[s] for one in found])) for s in first.streams}, objects)


def open_streams(detectors: Mapping[str, Sequence["Detector"]], footage: StreamFormat) -> dict[str, Stream]:
    """A new stream of each detector, all of which can."""
    opened = {}
    for name, seeds in detectors.items():
        streams = [one.stream(footage) for one in seeds if isinstance(one, Streams)]
        opened[name] = streams[0] if len(streams) == 1 else MeanStream(streams)
    return opened


def _mean(values: Sequence[np.ndarray | float]) -> np.ndarray:
    return np.mean(np.asarray(values, np.float64), axis=0).astype(np.float32)


def _settings(config: Config, name: str) -> DetectorConfig:
    own = config.detectors[name]
    if "checkpoint" in own.scoring and config.checkpoint in (BEST, LAST):  # it keeps both, and its scales of both
        return own.model_copy(update={"scoring": {**own.scoring, "checkpoint": config.checkpoint}})
    return own


@contextmanager
def _folder(config: Config, name: str, seed: int | None) -> Iterator[Path]:
    """The folder that the detector is loaded from."""
    folder = RunFiles.of(config).detector(name, seed)
    if config.checkpoint not in (BEST, LAST):
        folder = Path(config.checkpoint).expanduser() / of_seed(name, seed)
        if not (folder / "detector.json").is_file():
            raise ConfigError(
                f"checkpoint={config.checkpoint}: must be best, last, or a folder of trained detectors such as "
                f"checkpoints/ped2; there is no {folder / 'detector.json'}"
            )
    if config.checkpoint != LAST or "checkpoint" in config.detectors[name].scoring:
        yield folder
        return
    epochs = sorted(folder.glob("training-*/last.ckpt"))
    if not (folder / WEIGHTS).is_file():
        log.info(f"infer: {name} was not trained in epochs: checkpoint=last is its only one")
        yield folder
        return
    if not epochs:
        raise MissingArtifactError(f"{folder}/training-*/last.ckpt: the last epoch of {name} is gone: checkpoint=best")
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("training-*"))
        _write_weights(epochs[-1], copy / WEIGHTS)
        yield copy


def _write_weights(checkpoint: Path, path: Path) -> None:
    """The network of a checkpoint of Lightning's, in which it is a module of the training, as `Detector.save` does."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    found = {name.partition(".")[2]: tensor.contiguous() for name, tensor in state.items()}
    with safe_open(path, "pt") as best:
        names, metadata = set(best.keys()), best.metadata()
    if not names <= set(found):
        raise ConfigError(f"{checkpoint} is of another network than {path.name}: checkpoint=best")
    save_file({name: found[name] for name in names}, path, metadata)
