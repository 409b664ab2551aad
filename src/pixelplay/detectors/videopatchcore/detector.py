"""VideoPatchCore (Ahn, Jo, Lee, Park, ACCV 2024, arXiv 2409.16225): unusual is what is far from all normal clips.

Frozen features of objects and of whole frames are compared with memory banks of normal footage: what an object looks
like (spatial), how it changes (temporal), and what the whole picture does (global).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pixelplay.backbones.encoder import Encoder
from pixelplay.backbones.in_domain import as_backbone, load_encoder, save_encoder, train_encoder
from pixelplay.backbones.pretrained import check_backbone, load_backbone
from pixelplay.detectors.base import About, Scores, identity_of, load_about, save_about
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.videopatchcore.calibration import FOLDS, HELDOUT, Calibration
from pixelplay.detectors.videopatchcore.clip_features import LOCAL, STREAMS, Noise, PatchFeatures
from pixelplay.detectors.videopatchcore.feature_store import Stored, choose, read_sources, store
from pixelplay.detectors.videopatchcore.folds import Memories, calibration_table, fold_distances
from pixelplay.detectors.videopatchcore.nearest import Memory, centred, findings
from pixelplay.detectors.videopatchcore.settings import VideoPatchCoreScoring, VideoPatchCoreSettings
from pixelplay.errors import ConfigError
from pixelplay.memory.bank import Bank
from pixelplay.objects.boxes import COORDINATES, Boxes, boxes_of
from pixelplay.objects.explanation import Finding
from pixelplay.objects.tubes import select
from pixelplay.progress import progress_bar
from pixelplay.run.artifacts import write_table
from pixelplay.settings import validate
from pixelplay.training.augmentation import Augmentation
from pixelplay.training.device import autocast_bf16
from pixelplay.training.run import TrainingRun
from pixelplay.videos.heldout import Heldout
from pixelplay.videos.video import Video
from pixelplay.videos.windows import FrameScores, causal_windows, frames_of_clips, windows

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Distances:
    """How far a video's clips are from the memory."""

    clips: dict[str, np.ndarray]  # by stream, float64 (C,); NaN where a clip has no object
    objects: pd.DataFrame  # a row per tube and stream of objects


def check(name: str, config: DetectorConfig) -> tuple[VideoPatchCoreSettings, VideoPatchCoreScoring]:
    """The algorithm's typed settings; raises ConfigError, or WeightsError for weights not to be had."""
    settings = validate(VideoPatchCoreSettings, config.training, f"detectors.{name}.training")
    scoring = validate(VideoPatchCoreScoring, config.scoring, f"detectors.{name}.scoring")
    for part, stride in (("training", settings.stride), ("scoring", scoring.stride)):
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
        self._encoder: Encoder | None = None  # for weights.backbone=in_domain
        self._features: PatchFeatures | None = None
        self._banks: dict[str, Bank] = {}
        self._sources: dict[str, pd.DataFrame] = {}  # by stream: where each entry of its bank comes from
        self._calibration: Calibration | None = None

    def fit(self, videos: list[Video], heldout: Heldout, run: TrainingRun) -> None:
        settings = self._settings
        noise = Augmentation(settings.noise.amplitude, settings.noise.share, "noisy", 0.0)
        if settings.own:
            self._encoder = train_encoder(
                videos,
                heldout.validation,
                settings.encoder,
                settings.patches.image_size,
                settings.tubes,
                settings.noise.amplitude,
                run,
            )
        features = self._use(autocast_bf16(run.config.precision, self._device))
        folders = [run.folder / f"{i:05d}" for i in range(len(videos))]
        clips = [windows(len(video), settings.clip, settings.stride) for video in videos]
        with progress_bar(sum(map(len, videos)), "frame", f"{self.name}: features") as bar:
            for i, (video, folder) in enumerate(zip(videos, folders, strict=True)):
                store(features, video, self._boxes(video), clips[i], Noise(noise, (run.seed, i)), folder)
                bar.update(len(video))
        for stream in STREAMS:
            stored = [Stored.read(folder, stream) for folder in folders]
            kept = choose(stored, stream, settings.coreset[stream], settings.shrinkage, run.seed, self.name)
            identity = features.identity(stream)
            self._banks[stream] = Bank.build(kept.vectors, settings.bank, identity, run.seed, kept.whitening)
            self._sources[stream] = kept.sources
        normal = [self._heldout(heldout.calibration), *self._folds(videos, clips, folders, run.seed)]
        self._calibration = Calibration.of(pd.concat(normal, ignore_index=True), self.name)

    def score(self, video: Video, causal: bool = False) -> Scores:
        scoring = self._scoring
        positions = (causal_windows if causal else windows)(len(video), self._settings.clip, scoring.stride)
        found = self._distances(video, positions, causal)
        streams = self._streams(video, positions, scoring.stride, causal, found.clips)
        return Scores(streams, found.objects).check(video, self.name)

    def calibrate(self, videos: list[Video]) -> list[Scores]:
        """See `Calibrates`; with `settings.folds`, which a backbone that the run trains on all of it can't have."""
        clips = self._calibrated.clips
        of_folds = dict(list(clips[clips["source"] == FOLDS].groupby("video", sort=False)))
        scored = []
        for video in videos if of_folds else []:
            positions = windows(len(video), self._settings.clip, self._settings.stride)
            found = {stream: of_folds[video.id][stream].to_numpy() for stream in STREAMS}
            streams = self._streams(video, positions, self._settings.stride, False, found)
            scored.append(Scores(streams).check(video, self.name))
        return scored

    def _streams(
        self, video: Video, positions: np.ndarray, stride: int, causal: bool, clips: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Scores of frames, float32 (T,) by stream, from the distances (C,) of clips."""
        scoring, calibration = self._scoring, self._calibrated
        raw = calibration.filled(clips)
        final = calibration.score(raw, scoring.quantile, scoring.power, scoring.weights)
        streams = {}
        for name, values in {self.name: final, **{f"{self.name}/{s}": d for s, d in raw.items()}}.items():
            scores = FrameScores(len(video), stride, causal)
            scores.add(positions, values[:, None])
            streams[name] = scores.result()
        return streams

    def save(self, folder: Path) -> None:
        assert self._banks and self._features, "fit or load the detector before it is saved"
        folder.mkdir(parents=True, exist_ok=True)
        if self._encoder is not None:
            save_encoder(self._encoder, folder)
        for stream, bank in self._banks.items():
            bank.save(folder / f"{stream}.faiss")
            write_table(folder / f"{stream}-sources.parquet", self._sources[stream])
        parameters = sum(p.numel() for p in self._features.backbone.parameters())
        self._calibrated.save(folder)
        save_about(folder, About(name=self.name, bf16=self._bf16, parameters=parameters), self._identity())

    def load(self, folder: Path) -> None:
        about = load_about(folder, self._identity())
        if self._settings.own:
            self._encoder = load_encoder(self._settings.encoder, folder)
        features = self._use(about.bf16)
        self._banks = {stream: Bank.load(folder / f"{stream}.faiss", features.identity(stream)) for stream in STREAMS}
        self._sources = {s: read_sources(folder / f"{s}-sources.parquet", len(self._banks[s])) for s in STREAMS}
        self._calibration = Calibration.load(folder, self.name)

    @property
    def _calibrated(self) -> Calibration:
        assert self._calibration is not None, "fit or load the detector before it scores"
        return self._calibration

    def _heldout(self, videos: list[Video]) -> pd.DataFrame:
        """Distances of the clips of held-out normal footage."""
        parts = []
        with progress_bar(sum(map(len, videos)), "frame", f"{self.name}: held-out footage") as bar:
            for video in videos:
                positions = windows(len(video), self._settings.clip, self._settings.stride)
                clips = self._distances(video, positions, False).clips
                parts.append(pd.DataFrame({"video": video.id, "clip": np.arange(len(positions)), **clips}))
                bar.update(len(video))
        return pd.concat(parts, ignore_index=True).assign(source=HELDOUT)

    def _folds(
        self, videos: list[Video], clips: list[np.ndarray], folders: list[Path], seed: int
    ) -> list[pd.DataFrame]:
        """Distances of the clips (C, T) of each training video to memories that have not seen them; [] without folds.

        An encoder that the run has trained on these videos has seen them all, so it leaves calibration to held-out
        footage.
        """
        settings, found = self._settings, {}
        if settings.own and settings.folds:
            log.info(f"train: {self.name}: no folds, since the encoder has seen all of it; held-out footage calibrates")
        if settings.own or not settings.folds:
            return []
        for stream in STREAMS:
            memories = Memories(settings.coreset[stream], settings.shrinkage, settings.bank, seed)
            found[stream] = fold_distances(videos, clips, folders, stream, memories, settings.folds, self.name)
            if found[stream] is None:
                return []
        return [calibration_table(videos, found).assign(source=FOLDS)]

    def _distances(self, video: Video, positions: np.ndarray, causal: bool) -> Distances:
        assert self._features is not None, "fit or load the detector before it scores"
        clips = {stream: np.full(len(positions), np.nan) for stream in STREAMS}
        boxes, bounds = self._boxes(video), frames_of_clips(positions, len(video), causal)
        none = np.empty(0, np.int64)
        tables = [self._objects(video, boxes, none, none, LOCAL[0], np.empty(0, np.float32))]
        for one in self._features.clips(video, boxes, positions, causal):
            for stream, vectors in one.vectors.items():
                distances = self._banks[stream].nearest(vectors.reshape(-1, vectors.shape[-1]))[0]
                largest = distances.reshape(vectors.shape[:-1]).max(axis=-1)  # (K,) of each tube, or ()
                clips[stream][one.clip] = largest.max()
                if stream in LOCAL:
                    frames = np.arange(*bounds[one.clip : one.clip + 2])
                    tables.append(self._objects(video, boxes, one.tubes.box, frames, stream, largest))
        return Distances(clips, pd.concat(tables, ignore_index=True))

    def _objects(
        self, video: Video, boxes: Boxes, rows: np.ndarray, frames: np.ndarray, stream: str, scores: np.ndarray
    ) -> pd.DataFrame:
        """Scores (K,) of the objects in `rows` (K,) of the boxes, in each of the frames at these positions (F,) that
        their clip stands for; -1 is no track.
        """
        rows, scores = np.tile(rows, len(frames)), np.tile(scores, len(frames))
        table = pd.DataFrame({"frame": np.repeat(video.numbers[frames], len(rows) // max(len(frames), 1)), "track": -1})
        table[COORDINATES] = boxes.xyxy[rows]
        table["class"] = pd.Series(boxes.label[rows].tolist(), dtype="str")
        return table.assign(stream=f"{self.name}/{stream}", score=scores)

    def _local(self, spatial: np.ndarray, temporal: np.ndarray) -> np.ndarray:
        """How unusual objects are, from their distances in units of normal ones: the order in which they are shown."""
        scoring = self._scoring
        return scoring.spatial_weight * spatial**scoring.power + (1 - scoring.spatial_weight) * temporal**scoring.power

    def _boxes(self, video: Video) -> Boxes:
        return select(boxes_of(video), self._settings.tubes)

    def _use(self, bf16: bool) -> PatchFeatures:
        settings = self._settings
        if self._encoder is not None:
            backbone = as_backbone(self._encoder, bf16)
        else:
            backbone = load_backbone(settings.weights, bf16)
        self._bf16 = bf16
        self._features = PatchFeatures(
            backbone.to(self._device),
            settings.described,
            settings.tubes,
            self._scoring.batch_size,
            self._scoring.noise_above,
        )
        return self._features

    @property
    def legend(self) -> str:
        nearer = f"1 x is the distance that {100 * self._scoring.quantile:.4g} % of normal clips stay below"
        return f"Spatial: how an object looks, temporal: how it moves, global: the whole frame; {nearer}"

    def explain(self, video: Video, positions: Sequence[int]) -> list[list[Finding]]:
        """See `Explains`: each frame is the middle of a clip of its own, padded at the ends of the video."""
        assert self._features is not None, "fit or load the detector before it explains"
        memories = {
            stream: Memory(
                f"{self.name}/{stream}",
                bank,
                self._sources[stream],
                self._calibrated.scale(stream, self._scoring.quantile),
            )
            for stream, bank in self._banks.items()
        }
        grid, boxes = self._settings.patches.grid, self._boxes(video)
        asked = np.unique(positions)
        clips = centred(asked, self._settings.clip, len(video))
        found: dict[int, list[Finding]] = {}
        for one in self._features.clips(video, boxes, clips, False):
            *objects, whole = findings(memories, grid, video, boxes, clips[one.clip], one)
            objects.sort(key=lambda finding: -self._local(*(near.relative for near in finding.neighbours)))
            found[int(asked[one.clip])] = [*objects, whole]
        return [found[int(position)] for position in positions]

    def _identity(self) -> dict[str, Any]:
        """What a saved detector must agree in with the configuration that loads it; its banks know the weights that
        they were made with, wherever those lie.
        """
        backbone = {"backbone": self._settings.weights.backbone}
        return identity_of(self._config, self._config.training | {"weights": backbone})
