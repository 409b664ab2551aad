"""VideoPatchCore (Ahn, Jo, Lee, Park, ACCV 2024, arXiv 2409.16225): anomalous is what is far from all normal clips.

Frozen features of objects and of whole frames are compared with memory banks of normal footage: what an object looks
like (spatial), how it changes (temporal), and the whole frame (global).
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pixelplay.backbones.exports import Exported
from pixelplay.backbones.in_domain import Encoder, as_backbone, load_encoder, shared_encoder
from pixelplay.backbones.pretrained import load_backbone
from pixelplay.backbones.state_dict import save_network
from pixelplay.detectors.base import About, Scores, identity_of, load_about, save_about
from pixelplay.detectors.calibration import Calibration
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.stream import StreamFormat
from pixelplay.detectors.videopatchcore import SPECS
from pixelplay.detectors.videopatchcore.calibration import ABOUT, FOLDS, HELDOUT, fold_table
from pixelplay.detectors.videopatchcore.clip_features import STREAMS, Noise, PatchFeatures
from pixelplay.detectors.videopatchcore.exported import exported
from pixelplay.detectors.videopatchcore.feature_store import BankBuilder, Stored, read_sources, store
from pixelplay.detectors.videopatchcore.nearest import Memory, centred, clip_distances, findings
from pixelplay.detectors.videopatchcore.patch_stream import PatchStream, Seen
from pixelplay.detectors.videopatchcore.settings import check
from pixelplay.memory.bank import Bank
from pixelplay.objects.explanation import Finding
from pixelplay.objects.labels import tracks_so_far
from pixelplay.objects.tracks import MORE, identities, tracks_of
from pixelplay.progress import progress_bar
from pixelplay.run.artifacts import write_table
from pixelplay.run.atomic import remove_leftovers
from pixelplay.training.clips import Augmentation
from pixelplay.training.device import autocast_bf16
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout
from pixelplay.videos.video import Video
from pixelplay.videos.windows import CausalWindow, FrameScores, causal_windows, windows

log = logging.getLogger(__name__)

ENCODER = "encoder.safetensors"


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
        if settings.backbone.in_domain:
            file = shared_encoder(videos, heldout.validation, settings.in_domain, run)
            self._encoder = load_encoder(file, settings.in_domain)
        backbone = self._use(autocast_bf16(run.config.precision, self._device)).backbone
        features = PatchFeatures(backbone, settings.described, settings.tubes, settings.batch_size)
        clips = [windows(len(video), settings.clip, settings.stride) for video in videos]
        folders = self._store(features, videos, clips, run)
        shared = settings.shrinkage, settings.bank, run.seed
        builders = {s: BankBuilder(f"{self.name}/{s}", settings.coreset[s], *shared) for s in STREAMS}
        for stream, builder in builders.items():
            stored = [Stored.read(folder, stream) for folder in folders]
            self._banks[stream], self._sources[stream] = builder.build(stored, features.identity(stream))
        normal = [self._heldout(features, heldout.calibration)]
        if settings.folds and settings.backbone.in_domain:
            log.info(f"train: {self.name}: no folds, the encoder has seen all footage; held-out footage calibrates")
        elif settings.folds:
            found = fold_table(videos, clips, folders, builders, settings.folds)
            normal += [] if found is None else [found.assign(source=FOLDS)]
        self._set_calibration(pd.concat(normal, ignore_index=True))

    def recalibrate(self, videos: list[Video]) -> None:
        assert self._features is not None, "fit or load the detector before it is calibrated"
        self._set_calibration(self._heldout(self._features, videos))

    def score(self, video: Video, causal: bool = False) -> Scores:
        assert self._features is not None, "fit or load the detector before it scores"
        scoring, tracks = self._scoring, tracks_so_far(video)[0] if causal else tracks_of(video)
        positions = (causal_windows if causal else windows)(len(video), self._settings.clip, scoring.stride)
        distances, objects = clip_distances(self.name, self._features, self._banks, video, tracks, positions, causal)
        streams = self._streams(video, positions, scoring.stride, causal, distances)
        return Scores(streams, objects).check(video, self.name)

    def stream(self, footage: StreamFormat) -> PatchStream:
        assert self._features is not None, "fit or load the detector before it scores"
        window = CausalWindow[Seen](self._settings.clip, self._scoring.stride)
        return PatchStream(self.name, self._features, self._banks, self._combination(), window, footage)

    def calibrate(self, videos: list[Video]) -> list[Scores]:
        """See `Calibrates`; [] without `settings.folds`, or with an encoder that the run trained on all of it."""
        clips, stride = self._calibrated.table, self._settings.stride
        of_folds = dict(list(clips[clips["source"] == FOLDS].groupby("video", sort=False)))
        scored = []
        for video in videos if of_folds else []:
            positions = windows(len(video), self._settings.clip, stride)
            found = {stream: of_folds[video.id][stream].to_numpy() for stream in STREAMS}
            scored.append(Scores(self._streams(video, positions, stride, False, found)).check(video, self.name))
        return scored

    def save(self, folder: Path) -> None:
        assert self._banks and self._features, "fit or load the detector before it is saved"
        folder.mkdir(parents=True, exist_ok=True)
        if self._encoder is not None:
            save_network(self._encoder, folder / ENCODER)
        for stream, bank in self._banks.items():
            bank.save(folder / f"{stream}.faiss")
            write_table(folder / f"{stream}-sources.parquet", self._sources[stream])
        parameters = sum(p.numel() for p in self._features.backbone.parameters())
        self._calibrated.save(folder)
        save_about(folder, About(name=self.name, bf16=self._bf16, parameters=parameters), self._identity())

    def load(self, folder: Path) -> None:
        about = load_about(folder, self._identity())
        if self._settings.backbone.in_domain:
            self._encoder = load_encoder(folder / ENCODER, self._settings.in_domain)
        features = self._use(about.bf16)
        self._banks = {stream: Bank.load(folder / f"{stream}.faiss", features.identity(stream)) for stream in STREAMS}
        self._sources = {s: read_sources(folder / f"{s}-sources.parquet", len(self._banks[s])) for s in STREAMS}
        self._calibration = Calibration.load(folder, ABOUT, STREAMS)

    def networks(self) -> dict[str, Exported]:
        assert self._features is not None, "fit or load the detector before it is exported"
        return {"backbone": exported(self._features.backbone, self._settings, self._scoring)}

    def _identity(self) -> dict[str, Any]:
        """See `identity_of`; of the backbone only its name, since the banks know its weights, wherever they lie."""
        training = SPECS[0].decisive(self._config.training)
        return identity_of(self._config, training | {"backbone": self._settings.backbone.name})

    def _use(self, bf16: bool) -> PatchFeatures:
        settings, scoring = self._settings, self._scoring
        backbone = as_backbone(self._encoder, bf16) if self._encoder else load_backbone(settings.backbone, bf16)
        self._bf16 = bf16
        self._features = PatchFeatures(
            backbone.to(self._device), settings.described, settings.tubes, scoring.batch_size, scoring.noise_above
        )
        return self._features

    # --- training ---------------------------------------------------------------------------------------------------

    def _store(
        self, features: PatchFeatures, videos: list[Video], clips: list[np.ndarray], run: TrainingRun
    ) -> list[Path]:
        """Folders of the features of each video's clips (C, T), which trainings with other coresets find again."""
        settings, noise = self._settings, self._settings.noise
        folder = run.intermediate(
            "features",
            SPECS[0].version,
            [features.identity(stream) for stream in STREAMS],
            (self._bf16, settings.clip, settings.stride, settings.batch_size),
            *(identities(videos), noise.share and (noise.share, noise.amplitude, run.seed)),
        )
        remove_leftovers(folder)
        folders = [folder / f"{i:05d}" for i in range(len(videos))]
        augmentation = Augmentation(noise.amplitude, noise.share, "noisy", 0.0)
        with progress_bar(sum(map(len, videos)), "frame", f"{self.name}: features") as bar:
            for i, (video, place) in enumerate(zip(videos, folders, strict=True)):
                store(features, video, tracks_of(video), clips[i], Noise(augmentation, (run.seed, i)), place)
                bar.update(len(video))
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        log.info(f"train: {self.name}: features of the training clips are kept in {folder}/ ({size / 1e9:.2f} GB)")
        return folders

    def _set_calibration(self, normal: pd.DataFrame) -> None:
        hint = f"{self.name} needs objects there: {MORE}"
        self._calibration = Calibration.of(normal, ABOUT, STREAMS, hint)

    def _heldout(self, features: PatchFeatures, videos: list[Video]) -> pd.DataFrame:
        """Distances of the clips of held-out normal footage."""
        parts = []
        with progress_bar(sum(map(len, videos)), "frame", f"{self.name}: held-out footage") as bar:
            for video in videos:
                positions = windows(len(video), self._settings.clip, self._settings.stride)
                clips, _ = clip_distances(self.name, features, self._banks, video, tracks_of(video), positions, False)
                parts.append(pd.DataFrame({"video": video.id, "clip": np.arange(len(positions)), **clips}))
                bar.update(len(video))
        return pd.concat(parts, ignore_index=True).assign(source=HELDOUT)

    # --- scoring ----------------------------------------------------------------------------------------------------

    @property
    def _calibrated(self) -> Calibration:
        assert self._calibration is not None, "fit or load the detector before it scores"
        return self._calibration

    def _streams(
        self, video: Video, positions: np.ndarray, stride: int, causal: bool, clips: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Scores of frames, float32 (T,) by stream, from the distances (C,) of clips."""
        streams = {}
        for name, values in self._combination()(clips).items():
            scores = FrameScores(len(video), stride, causal)
            scores.add(positions, values[:, None])
            streams[name] = scores.result()
        return streams

    def _combination(self) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
        """From the distances of clips (C,), NaN without an object, their scores, float64 (C,) by stream of `Scores`."""
        scoring, calibration, lowest = self._scoring, self._calibrated, self._calibrated.lowest
        final = calibration.combination(scoring.weights, scoring.quantile, scoring.power)

        def scores(clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            raw = {s: np.where(np.isnan(of), lowest[s], of) for s, of in clips.items()}
            return {self.name: final(raw), **{f"{self.name}/{stream}": of_clips for stream, of_clips in raw.items()}}

        return scores

    # --- explanation ------------------------------------------------------------------------------------------------

    @property
    def legend(self) -> str:
        unit = f"1 x is the distance that {100 * self._scoring.quantile:.4g} % of normal clips stay below"
        return f"Spatial: how an object looks, temporal: how it moves, global: the whole frame; {unit}"

    def explain(self, video: Video, positions: Sequence[int]) -> list[list[Finding]]:
        """See `Explains`: each frame is the middle of a clip of its own, padded at the ends of the video."""
        assert self._features is not None, "fit or load the detector before it explains"
        calibration, scoring, grid = self._calibrated, self._scoring, self._settings.patches.grid
        high = {s: float(np.quantile(calibration.normal(s), scoring.quantile)) or 1.0 for s in STREAMS}
        memories = {s: Memory(f"{self.name}/{s}", self._banks[s], self._sources[s], high[s]) for s in STREAMS}
        asked, tracks = np.unique(positions), tracks_of(video)
        clips = centred(asked, self._settings.clip, len(video))
        found: dict[int, list[Finding]] = {}
        for one in self._features.clips(video, tracks, clips, False):
            *objects, whole = findings(memories, grid, video, tracks, clips[one.clip], one)
            objects.sort(key=lambda finding: -scoring.local_score(*(near.relative for near in finding.neighbours)))
            found[int(asked[one.clip])] = [*objects, whole]
        return [found[int(position)] for position in positions]


build = VideoPatchCore
