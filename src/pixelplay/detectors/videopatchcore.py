"""VideoPatchCore (Ahn, Jo, Lee, Park, ACCV 2024, arXiv 2409.16225): unusual is what is far from all normal clips.

Frozen features of objects and of whole frames are compared with memory banks of normal footage: what an object looks
like (spatial), how it changes (temporal), and what the whole picture does (global).
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field, model_validator

from pixelplay.artifacts import read_json, read_table, write_json, write_table
from pixelplay.config import DetectorConfig, Natural, Settings, Share, TubeConfig, WeightsConfig, validate
from pixelplay.detectors.base import Scores
from pixelplay.errors import ConfigError, DataError
from pixelplay.features.patches import LOCAL, STREAMS, ClipFeatures, Noise, PatchFeatures, PatchSettings
from pixelplay.memory.bank import Bank, BankConfig
from pixelplay.memory.coreset import CoresetConfig, select_coreset
from pixelplay.objects.boxes import COORDINATES, Boxes, boxes_of
from pixelplay.objects.tubes import select
from pixelplay.progress import progress_bar
from pixelplay.training.augmentation import Augmentation
from pixelplay.training.device import autocast_bf16
from pixelplay.training.run import TrainingRun
from pixelplay.videos.growing_npy import NpyWriter
from pixelplay.videos.video import Video
from pixelplay.videos.windows import FrameMean, causal_scores, causal_windows, windows
from pixelplay.weights.backbones import check_backbone, load_backbone

OBJECTS = True  # its videos come with boxes


class NoiseSettings(Settings):
    """Uniform noise in +-amplitude of the range [0, 1], added to this share of the training clips."""

    amplitude: Share
    share: Share


class VideoPatchCoreSettings(Settings):
    weights: WeightsConfig
    tubes: TubeConfig
    clip: Annotated[int, Field(ge=2)]  # frames
    stride: Natural  # frames between the starts of two training clips
    patches: PatchSettings
    noise: NoiseSettings
    coreset: dict[Literal["spatial", "temporal", "global"], CoresetConfig]
    bank: BankConfig

    @model_validator(mode="after")
    def _possible(self) -> "VideoPatchCoreSettings":
        if self.weights.backbone == "in_domain":
            raise ValueError(
                "weights.backbone=in_domain: it needs a pretrained backbone; set weights.backbone=clip_rn101 or "
                "timm:<model>, and weights.backbone_file=FILE where there is no internet"
            )
        if set(self.coreset) != set(STREAMS):
            raise ValueError(f"coreset is for {', '.join(self.coreset)}; must be for {', '.join(STREAMS)}")
        return self


class VideoPatchCoreScoring(Settings):
    stride: Natural  # frames between the starts of two clips
    batch_size: Natural  # images that the backbone sees at a time
    quantile: Annotated[float, Field(gt=0, le=1)]  # of held-out normal distances; that distance becomes 1
    power: Annotated[float, Field(gt=0)]  # POWER_N
    spatial: Share  # of the local score; the rest is temporal
    local: Share  # of the final score; the rest is global


@dataclass(frozen=True)
class Distances:
    """How far a video's clips are from the memory."""

    clips: dict[str, np.ndarray]  # by stream, float64 (C,); NaN where a clip has no object
    objects: pd.DataFrame  # a row per tube and stream of objects


def check(name: str, config: DetectorConfig) -> tuple[VideoPatchCoreSettings, VideoPatchCoreScoring]:
    """The algorithm's typed settings; raises ConfigError, or WeightsError for weights not to be had."""
    settings = validate(VideoPatchCoreSettings, config.settings, f"detectors.{name}.settings")
    scoring = validate(VideoPatchCoreScoring, config.scoring, f"detectors.{name}.scoring")
    for part, stride in (("settings", settings.stride), ("scoring", scoring.stride)):
        if stride > settings.clip:
            key = f"detectors.{name}.{part}.stride"
            raise ConfigError(f"{key}={stride}: would skip frames between clips of {settings.clip}")
    check_backbone(settings.weights)
    return settings, scoring


def build(name: str, config: DetectorConfig, device: torch.device) -> "VideoPatchCore":
    return VideoPatchCore(name, config, device)


class VideoPatchCore:
    """See `Detector` for the contract. Streams: `<name>`, and the raw distances, `<name>/spatial` and so on."""

    def __init__(self, name: str, config: DetectorConfig, device: torch.device):
        self.name = name
        self._config = config
        self._settings, self._scoring = check(name, config)
        self._device = device
        self._bf16 = False
        self._features: PatchFeatures | None = None
        self._banks: dict[str, Bank] = {}
        self._sources: dict[str, pd.DataFrame] = {}  # by stream: where each entry of its bank comes from
        self._calibration: dict[str, list[float]] = {}  # by stream: held-out normal distances of clips, ascending

    def fit(self, videos: list[Video], heldout: list[Video], run: TrainingRun) -> None:
        self._use(autocast_bf16(run.config.precision, self._device))
        folders = [run.folder / f"{i:05d}" for i in range(len(videos))]
        with progress_bar(sum(map(len, videos)), "frame", f"{self.name}: features") as bar:
            for i, (video, folder) in enumerate(zip(videos, folders, strict=True)):
                if not (folder / "done.json").exists():
                    self._store(video, folder, (run.seed, i))
                bar.update(len(video))
        for stream in STREAMS:
            self._remember(stream, folders, run.seed)
        self._calibrate(heldout)

    def score(self, video: Video, causal: bool = False) -> Scores:
        scoring = self._scoring
        positions = (causal_windows if causal else windows)(len(video), self._settings.clip, scoring.stride)
        found = self._distances(video, positions, causal)
        raw = {stream: np.where(np.isnan(d), self._calibration[stream][0], d) for stream, d in found.clips.items()}
        unit = {stream: (d / self._scale(stream)) ** scoring.power for stream, d in raw.items()}
        local = scoring.spatial * unit["spatial"] + (1 - scoring.spatial) * unit["temporal"]
        final = scoring.local * local + (1 - scoring.local) * unit["global"]

        def of_frames(clips: np.ndarray) -> np.ndarray:
            if causal:
                return causal_scores(len(video), scoring.stride, clips)
            mean = FrameMean(len(video))
            mean.add(positions, clips)
            return mean.result()

        streams = {self.name: of_frames(final)} | {
            f"{self.name}/{stream}": of_frames(raw[stream]) for stream in STREAMS
        }
        return Scores(streams, found.objects).check(video, self.name)

    def save(self, folder: Path) -> None:
        assert self._banks, "fit or load the detector before it is saved"
        folder.mkdir(parents=True, exist_ok=True)
        for stream, bank in self._banks.items():
            bank.save(folder / f"{stream}.faiss")
            write_table(folder / f"{stream}-sources.parquet", self._sources[stream])
        about = {"name": self.name, "bf16": self._bf16, "calibration": self._calibration, **self._identity()}
        write_json(folder / "detector.json", about)

    def load(self, folder: Path) -> None:
        saved = read_json(folder / "detector.json", made_by="train")
        identity = {key: saved.get(key) for key in self._identity()}
        if identity != self._identity():
            raise ConfigError(f"{folder} holds a detector trained with {identity}, not {self._identity()}: train again")
        features = self._use(saved["bf16"])
        self._banks = {stream: Bank.load(folder / f"{stream}.faiss", features.identity(stream)) for stream in STREAMS}
        self._sources = {s: read_table(folder / f"{s}-sources.parquet", made_by="train") for s in STREAMS}
        self._calibration = saved["calibration"]

    def _store(self, video: Video, folder: Path, seed: tuple[int, ...]) -> None:
        """Write the vectors of a training video's clips, and where each comes from, clip by clip."""
        settings, features = self._settings, self._features
        assert features is not None
        positions = windows(len(video), settings.clip, settings.stride)
        noise = Noise(Augmentation(settings.noise.amplitude, settings.noise.share, "fed", 0.0), seed)
        folder.mkdir(parents=True, exist_ok=True)
        sources: dict[str, list[pd.DataFrame]] = {}
        with ExitStack() as stack:
            writers: dict[str, NpyWriter] = {}
            for one in features.clips(video, self._boxes(video), positions, False, noise):
                for stream, vectors in one.vectors.items():
                    size = vectors.shape[-1]
                    if stream not in writers:
                        path = folder / f"{stream}.npy"
                        writers[stream] = stack.enter_context(NpyWriter(path, (size,), np.float32))
                    writers[stream].extend(vectors.reshape(-1, size))
                    sources.setdefault(stream, []).append(_sources(video, positions, one, stream))
        for stream, tables in sources.items():
            write_table(folder / f"{stream}.parquet", pd.concat(tables, ignore_index=True))
        write_json(folder / "done.json", {"streams": list(sources)})

    def _remember(self, stream: str, folders: list[Path], seed: int) -> None:
        """Fill a stream's bank with the coreset of all stored vectors."""
        assert self._features is not None
        filled = [folder for folder in folders if stream in read_json(folder / "done.json", made_by="train")["streams"]]
        if not filled:
            raise DataError(
                f"{self.name}/{stream}: no object was detected in any normal footage: lower objects.tubes.confidence, "
                "or set objects.method=both; `python src/show_objects.py` shows what was found"
            )
        groups = [np.load(folder / f"{stream}.npy", mmap_mode="r") for folder in filled]
        chosen = select_coreset(groups, self._settings.coreset[stream], seed, threads=0).indices
        starts = np.cumsum([0, *map(len, groups)])
        group = np.searchsorted(starts, chosen, side="right") - 1
        places = list(zip(group, chosen - starts[group], strict=True))
        vectors = np.stack([groups[g][row] for g, row in places])
        self._banks[stream] = Bank.build(vectors, self._settings.bank, self._features.identity(stream), seed)
        tables = [pd.read_parquet(folder / f"{stream}.parquet") for folder in filled]
        each = [
            len(vectors) // len(table) for vectors, table in zip(groups, tables, strict=True)
        ]  # vectors of a source
        rows = [tables[g].iloc[[row // each[g]]] for g, row in places]
        self._sources[stream] = pd.concat(rows, ignore_index=True)

    def _calibrate(self, heldout: list[Video]) -> None:
        """Keep the distances of held-out normal clips."""
        found: dict[str, list[np.ndarray]] = {stream: [] for stream in STREAMS}
        with progress_bar(sum(map(len, heldout)), "frame", f"{self.name}: held-out footage") as bar:
            for video in heldout:
                positions = windows(len(video), self._settings.clip, self._scoring.stride)
                for stream, values in self._distances(video, positions, False).clips.items():
                    found[stream].append(values)
                bar.update(len(video))
        for stream, parts in found.items():
            values = np.concatenate(parts)
            values = np.sort(values[~np.isnan(values)])
            if not len(values):
                raise DataError(
                    f"{self.name}/{stream}: no object was detected in held-out normal footage, so distances can't be "
                    "calibrated: lower objects.tubes.confidence, or set objects.method=both"
                )
            self._calibration[stream] = values.tolist()

    def _scale(self, stream: str) -> float:
        """The held-out normal distance that becomes 1."""
        scale = float(np.quantile(self._calibration[stream], self._scoring.quantile))
        return scale if scale > 0 else 1.0

    def _distances(self, video: Video, positions: np.ndarray, causal: bool) -> Distances:
        assert self._features is not None, "fit or load the detector before it scores"
        clips = {stream: np.full(len(positions), np.nan) for stream in STREAMS}
        boxes = self._boxes(video)
        tables = [self._objects(video, boxes, np.empty(0, np.int64), LOCAL[0], np.empty(0, np.float32))]
        for one in self._features.clips(video, boxes, positions, causal):
            for stream, vectors in one.vectors.items():
                distances = self._banks[stream].nearest(vectors.reshape(-1, vectors.shape[-1]))[0]
                largest = distances.reshape(vectors.shape[:-1]).max(axis=-1)  # (K,) of each tube, or ()
                clips[stream][one.clip] = largest.max()
                if stream in LOCAL:
                    tables.append(self._objects(video, boxes, one.tubes.box, stream, largest))
        return Distances(clips, pd.concat(tables, ignore_index=True))

    def _objects(self, video: Video, boxes: Boxes, rows: np.ndarray, stream: str, scores: np.ndarray) -> pd.DataFrame:
        """Scores of single objects, in the frame that their tube was cut around; -1 is no track."""
        table = pd.DataFrame({"frame": video.numbers[boxes.position[rows]], "track": -1})
        table[COORDINATES] = boxes.xyxy[rows]
        table["class"] = pd.Series(boxes.label[rows].tolist(), dtype="str")
        return table.assign(stream=f"{self.name}/{stream}", score=scores)

    def _boxes(self, video: Video) -> Boxes:
        return select(boxes_of(video), self._settings.tubes)

    def _use(self, bf16: bool) -> PatchFeatures:
        settings = self._settings
        backbone = load_backbone(settings.weights, bf16).to(self._device)
        self._bf16 = bf16
        self._features = PatchFeatures(backbone, settings.patches, settings.tubes, self._scoring.batch_size)
        return self._features

    def _identity(self) -> dict[str, object]:
        """What a saved detector must agree in with the configuration that loads it."""
        config = self._config.model_dump(mode="json")
        return {key: config[key] for key in ("algorithm", "settings")}


def _sources(video: Video, positions: np.ndarray, one: ClipFeatures, stream: str) -> pd.DataFrame:
    """Where a clip's vectors come from: a row per tube, or one for the whole frame, in the clip's middle frame."""
    places = one.tubes.square if stream in LOCAL else np.array([[0, 0, *video.size]])
    table = pd.DataFrame(places, columns=COORDINATES)
    table.insert(0, "frame", video.numbers[positions[one.clip][positions.shape[1] // 2]])
    table.insert(0, "video", video.id)
    return table
