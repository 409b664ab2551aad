"""How badly a VideoMAE predicts what it does not see of a clip (Tong et al., NeurIPS 2022; He et al., CVPR 2022).

A token's error is that of the model's own training: what can't be predicted from the rest of the clip is unusual.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import torch
from pydantic import Field, model_validator

from pixelplay.detectors.base import Scores
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.videomae.masks import random_masks, rotating_masks
from pixelplay.detectors.videomae.model import VideoMAE
from pixelplay.detectors.videomae.settings import MaskConfig
from pixelplay.detectors.videomae.source import (
    ChosenSettings,
    check_chosen,
    clip_batches,
    first_videomae,
    load_videomae,
    require_stride,
    save_videomae,
)
from pixelplay.detectors.videomae.tokens import POOLINGS, pool_tokens
from pixelplay.errors import DataError
from pixelplay.settings import BatchSize, Seed, Settings, Window, validate
from pixelplay.training.run import TrainingRun
from pixelplay.videos.heldout import Heldout
from pixelplay.videos.video import Video
from pixelplay.videos.windows import FrameScores, causal_windows, windows

log = logging.getLogger(__name__)

AGREEMENT = 1e-3  # relative: float32 rounding is far below it, another loss in another transformers far above


class MaskSettings(MaskConfig):
    """With rotating masks, nothing depends on which tokens were drawn; `ratio` is then (count - 1) / count."""

    seed: Seed

    @model_validator(mode="after")
    def _partition(self) -> "MaskSettings":
        ratio = (self.count - 1) / self.count
        if self.kind == "rotating" and abs(self.ratio - ratio) > 1e-6:
            raise ValueError(
                f"ratio={self.ratio}: {self.count} rotating masks hide (count - 1) / count of the tokens, {ratio:.6g}; "
                "set both, or kind=random"
            )
        return self


class ReconstructionScoring(Settings):
    stride: Window  # frames between the starts of two clips
    batch_size: BatchSize  # clips
    masks: MaskSettings
    pooling: Literal["mean", "top"]
    top: Annotated[float, Field(gt=0, le=1)]  # share of a moment's tokens, for `top`


def check(name: str, config: DetectorConfig) -> tuple[ChosenSettings, ReconstructionScoring]:
    """The algorithm's typed settings; raises ConfigError, or WeightsError for weights not to be had."""
    settings = validate(ChosenSettings, config.training, f"detectors.{name}.training")
    scoring = validate(ReconstructionScoring, config.scoring, f"detectors.{name}.scoring")
    check_chosen(name, config, settings)
    return settings, scoring


def build(name: str, config: DetectorConfig, device: torch.device) -> "VideoMAEReconstruction":
    return VideoMAEReconstruction(name, config, device)


class VideoMAEReconstruction:
    """See `Detector` for the contract. One stream per pooling of a moment's token errors, `<name>/<pooling>`."""

    def __init__(self, name: str, config: DetectorConfig, device: torch.device):
        self.name = name
        self._config = config
        self._settings, self._scoring = check(name, config)
        self._device = device
        self._model: VideoMAE | None = None

    def fit(self, videos: list[Video], heldout: Heldout, run: TrainingRun) -> None:
        self._use(first_videomae(self._settings, self._config, videos, heldout.validation, run))
        self._compare_with_the_models_loss(heldout.validation)

    def score(self, video: Video, causal: bool = False) -> Scores:
        stride, model = self._scoring.stride, self._usable()
        positions = (causal_windows if causal else windows)(len(video), model.frames, stride)
        of_frames = {pooling: FrameScores(len(video), stride, causal) for pooling in POOLINGS}
        for batch, inputs in self._clips(video, positions):
            errors, loss = model.mean_errors(inputs, self._masks(video, batch))
            log.debug(f"{self.name}, {video.id}: score {errors.nanmean():.6f}, the model's own loss {loss:.6f}")
            pooled = pool_tokens(errors.unflatten(1, (model.grid[0], -1)), self._scoring.top)
            for pooling, moments in pooled.items():  # (B, T')
                of_frames[pooling].add(batch, moments.repeat_interleave(model.tubelet, dim=1).cpu().numpy())
        streams = {f"{self.name}/{pooling}": scores.result() for pooling, scores in of_frames.items()}
        return Scores({self.name: streams[f"{self.name}/{self._scoring.pooling}"], **streams}).check(video, self.name)

    def reconstruct(self, video: Video, positions: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """See `Reconstructs`: in grey, each token as predicted where it was hidden, on average over the masks."""
        model, asked = self._usable(), np.array(positions, np.int64)
        every = windows(len(video), model.frames, self._scoring.stride)
        covering = every[np.isin(every, asked).any(axis=1)]
        shown, errors = np.zeros((2, len(asked), model.side, model.side))
        count = np.zeros((len(asked), 1, 1))
        for batch, inputs in self._clips(video, covering):
            clips, maps = self._pictures(video, batch, inputs)
            for row, position in enumerate(asked):
                of_frame = batch == position  # (B, T)
                shown[row] += clips[of_frame].sum(axis=0)
                errors[row] += maps[of_frame].sum(axis=0)
                count[row] += of_frame.sum()
        return self._in_the_frame(shown / count), self._in_the_frame(errors / count)

    def save(self, folder: Path) -> None:
        model = self._usable()
        folder.mkdir(parents=True, exist_ok=True)
        save_videomae(self.name, model, model.model, self._config, folder)

    def load(self, folder: Path) -> None:
        self._use(load_videomae(self._settings, self._config, folder, self._device))

    def _compare_with_the_models_loss(self, heldout: list[Video]) -> None:
        """Log what the first held-out clips score beside the model's own loss; DataError where the two disagree."""
        model = self._usable()
        positions = windows(len(heldout[0]), model.frames, self._scoring.stride)[: self._scoring.batch_size]
        for batch, inputs in self._clips(heldout[0], positions):
            masks = self._masks(heldout[0], batch)
            one = masks[:1, None].expand(-1, len(batch), -1) if masks.ndim == 2 else masks[:1]
            errors, loss = model.errors(inputs, one[0])
            ours, theirs = float(errors.sum() / one.sum()), float(loss)
            log.info(f"{self.name}: held-out clips score {ours:.6f}, the model's own loss is {theirs:.6f}")
            if not abs(ours - theirs) <= AGREEMENT * abs(theirs):
                raise DataError(
                    f"{self.name}: held-out clips score {ours}, and the model's own loss is {theirs}: the two must be "
                    "the same; requirements.txt names the version of transformers that was tried"
                )

    def _masks(self, video: Video, positions: np.ndarray) -> torch.Tensor:
        """The masks of clips (B, T): bool (n, B, tokens), or (n, tokens) if all have the same."""
        masks, grid = self._scoring.masks, self._usable().grid
        if masks.kind == "rotating":
            return rotating_masks(masks.seed, grid, masks.count, masks.tube)
        names = [f"{video.id} {video.numbers[last]}" for last in positions[:, -1]]
        draws = [[f"{name} {draw}" for name in names] for draw in range(masks.count)]
        return torch.stack([random_masks(masks.seed, keys, grid, masks.ratio, masks.tube) for keys in draws])

    def _pictures(self, video: Video, batch: np.ndarray, inputs: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Grey reconstructions in [0, 1] and error maps of clips, each float32 (B, T, side, side)."""
        model, masks = self._usable(), self._masks(video, batch)
        errors, _ = model.mean_errors(inputs, masks)
        size = (len(batch), model.frames, model.side, model.side)
        predicted, times = torch.zeros(2, *size, device=inputs.device)
        given = predicted
        for mask in masks:
            rows = mask.expand(len(batch), -1)
            given = model.reconstruct(inputs, rows).mean(dim=2)
            hidden = model.on_pixels(rows.to(inputs.device, torch.float32))
            predicted += given * hidden
            times += hidden
        clips = torch.where(times > 0, predicted / times, given)  # what no mask hid is as given in each
        return clips.cpu().numpy(), model.on_pixels(errors.nan_to_num()).cpu().numpy()

    def _in_the_frame(self, squares: np.ndarray) -> np.ndarray:
        """Squares (N, side, side) where they lie in the working-size frame: float32 (N, H, W), 0 beside them."""
        assert self._config.frames is not None
        height, width = self._config.frames.height, self._config.frames.width
        frames = np.zeros((len(squares), height, width), np.float32)
        short = min(height, width)
        top, left = (height - short) // 2, (width - short) // 2
        for frame, square in zip(frames, squares, strict=True):
            frame[top : top + short, left : left + short] = cv2.resize(square.astype(np.float32), (short, short))
        return frames

    def _clips(self, video: Video, positions: np.ndarray) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        assert self._config.frames is not None
        crop, size = self._settings.center_crop, self._scoring.batch_size
        return clip_batches(self._usable(), video, self._config.frames, crop, positions, size)

    def _usable(self) -> VideoMAE:
        assert self._model is not None, "fit or load the detector before it is used"
        return self._model

    def _use(self, model: VideoMAE) -> None:
        require_stride(self.name, "scoring", self._scoring.stride, model)
        self._model = model
