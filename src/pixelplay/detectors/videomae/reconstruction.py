"""How badly a VideoMAE predicts the hidden tokens of a clip (Tong et al., NeurIPS 2022; He et al., CVPR 2022).

A token's error is that of the model's training: what can't be predicted from the rest of the clip is unusual.
"""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import torch
from pydantic import Field, model_validator

from pixelplay.backbones.exports import Exported
from pixelplay.detectors.clips import ClipDetector
from pixelplay.detectors.settings import DetectorConfig, MaskConfig
from pixelplay.detectors.videomae.exported import prediction
from pixelplay.detectors.videomae.source import ChosenSettings, ChosenVideoMAE, check_chosen
from pixelplay.detectors.videomae.tokens import pool_tokens, random_masks, rotating_masks
from pixelplay.errors import DataError
from pixelplay.settings import BatchSize, Seed, Settings, Window
from pixelplay.training.run import TrainingRun
from pixelplay.videos.index import Heldout
from pixelplay.videos.video import Video
from pixelplay.videos.windows import windows

log = logging.getLogger(__name__)

AGREEMENT = 1e-3  # relative: float32 rounding is far below, a loss defined otherwise is far above


class MaskSettings(MaskConfig):
    """With rotating masks, scores do not depend on which tokens were drawn; `ratio` is then (count - 1) / count."""

    seed: Seed

    @model_validator(mode="after")
    def _partition(self) -> "MaskSettings":
        ratio = (self.count - 1) / self.count
        if self.kind == "rotating" and abs(self.ratio - ratio) > 1e-6:
            hidden = f"{self.count} rotating masks hide (count - 1) / count of the tokens, {ratio:.6g}"
            raise ValueError(f"ratio={self.ratio}: {hidden}; set both, or kind=random")
        return self


class ReconstructionScoring(Settings):
    stride: Window  # frames between the starts of two clips
    batch_size: BatchSize  # clips
    masks: MaskSettings
    pooling: Literal["mean", "top"]
    top: Annotated[float, Field(gt=0, le=1)]  # share of a moment's tokens, for `top`


def check(name: str, config: DetectorConfig) -> tuple[ChosenSettings, ReconstructionScoring]:
    return check_chosen(name, config, ChosenSettings, ReconstructionScoring)


class VideoMAEReconstruction(ClipDetector):
    """See `Detector` for the contract. A stream per pooling of a moment's token errors: `<name>/mean`, `<name>/top`."""

    def __init__(self, name: str, config: DetectorConfig, device: torch.device):
        settings, scoring = check(name, config)
        super().__init__(name, config.frames, scoring.stride, scoring.batch_size, scoring.pooling)
        self._scoring, self._chosen = scoring, ChosenVideoMAE(name, config, settings, device)

    @property
    def length(self) -> int:
        return self._chosen.model.frames

    def fit(self, videos: list[Video], heldout: Heldout, run: TrainingRun) -> None:
        self._chosen.fit(videos, heldout.validation, run)
        self._compare_with_the_models_loss(heldout.validation[0])

    def clip_scores(self, clips: np.ndarray, footage: str, last: np.ndarray, causal: bool) -> dict[str, np.ndarray]:
        """By pooling of the errors of their tubelets' tokens."""
        model = self._chosen.model
        errors, loss = model.mean_errors(self._chosen.inputs(clips), self._masks(footage, last))
        log.debug(f"{self.name}, {footage}: score {errors.nanmean():.6f}, the model's own loss {loss:.6f}")
        moments = pool_tokens(errors.unflatten(1, (model.grid[0], -1)), self._scoring.top)  # each (B, T')
        return {key: x.cpu().numpy().repeat(model.tubelet, axis=1) for key, x in moments.items()}

    def reconstruct(self, video: Video, positions: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """See `Reconstructs`: in grey, each token as predicted where it was hidden, on average over the masks."""
        shown, errors = self.means_over_clips(video, positions, partial(self._pictures, video.id))
        return self._in_the_frame(shown), self._in_the_frame(errors)

    def save(self, folder: Path) -> None:
        self._chosen.save(folder, self._chosen.model.model)

    def load(self, folder: Path) -> None:
        self._chosen.load(folder)

    def networks(self) -> dict[str, Exported]:
        """See `Exports`."""
        model, scoring = self._chosen.model, self._scoring
        masks = scoring.masks
        if masks.kind == "rotating":
            some = rotating_masks(masks.seed, model.grid, masks.count, masks.tube)
        else:
            some = random_masks(masks.seed, ["example"], model.grid, masks.ratio, masks.tube)
        after = {
            "masks": {**masks.model_dump(), "is": "a forward pass each: see pixelplay.detectors.videomae.tokens"},
            "values": "a token's pixels, tubelet x patch x patch, of each R, G, B in [0, 1]",
            "normalised": model.normalises_targets,
            "error": "mean of (predicted - values) ** 2, values of each colour less their mean and over their standard "
            "deviation where normalised; mean over the masks that hide the token",
            "pooling": scoring.pooling,
            "top": scoring.top,
            "score": "of the last moment: the mean of its tokens' errors, or of the share `top` of the largest; it "
            "stays between two clips",
        }
        before = {"stride": scoring.stride} | self._chosen.resizing
        return {"prediction": prediction(model, some[0], before, after)}

    def _compare_with_the_models_loss(self, video: Video) -> None:
        """Log the score of the first clips of a held-out video and the model's own loss; DataError if they disagree."""
        positions = windows(len(video), self.length, self.stride)
        batch, clips = next(self.clips(video, positions, self._scoring.batch_size))
        mask = self._masks(video.id, video.numbers[batch[:, -1]])[0].expand(len(batch), -1)
        errors, loss = self._chosen.model.errors(self._chosen.inputs(clips), mask)
        ours, theirs = float(errors.sum() / mask.sum()), float(loss)
        log.info(f"{self.name}: held-out clips score {ours:.6f}, the model's own loss is {theirs:.6f}")
        if not abs(ours - theirs) <= AGREEMENT * abs(theirs):
            raise DataError(
                f"{self.name}: held-out clips score {ours}, but the model's own loss is {theirs}: they must be equal; "
                "use the version of transformers that requirements.txt names"
            )

    def _masks(self, footage: str, last: np.ndarray) -> torch.Tensor:
        """The masks of B clips: bool (n, B, tokens), or (n, tokens) if all have the same.

        footage: the id of the video; last: (B,), the number of each clip's last frame. Random masks depend on both.
        """
        masks, grid = self._scoring.masks, self._chosen.model.grid
        if masks.kind == "rotating":
            return rotating_masks(masks.seed, grid, masks.count, masks.tube)
        names = [f"{footage} {number}" for number in last]
        draws = [[f"{name} {draw}" for name in names] for draw in range(masks.count)]
        return torch.stack([random_masks(masks.seed, keys, grid, masks.ratio, masks.tube) for keys in draws])

    def _pictures(self, footage: str, clips: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Grey reconstructions in [0, 1] and error maps of clips, each float32 (B, T, side, side)."""
        model, masks, inputs = self._chosen.model, self._masks(footage, last), self._chosen.inputs(clips)
        errors, _ = model.mean_errors(inputs, masks)
        predicted, times = torch.zeros(2, len(clips), model.frames, model.side, model.side, device=inputs.device)
        given = predicted
        for mask in masks:
            rows = mask.expand(len(clips), -1)
            given = model.reconstruct(inputs, rows).mean(dim=2)
            hidden = model.on_pixels(rows.to(inputs.device, torch.float32))
            predicted += given * hidden
            times += hidden
        shown = torch.where(times > 0, predicted / times, given)  # tokens that no mask hides, as given
        return shown.cpu().numpy(), model.on_pixels(errors.nan_to_num()).cpu().numpy()

    def _in_the_frame(self, squares: np.ndarray) -> np.ndarray:
        """Squares (N, side, side) where they lie in the working-size frame: float32 (N, H, W), 0 beside them."""
        height, width = self.frames.height, self.frames.width
        short = min(height, width)
        top, left = (height - short) // 2, (width - short) // 2
        beside = ((0, 0), (top, height - short - top), (left, width - short - left))
        return np.pad([cv2.resize(square.astype(np.float32), (short, short)) for square in squares], beside)


build = VideoMAEReconstruction
