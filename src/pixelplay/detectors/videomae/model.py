"""A frozen VideoMAE (Tong et al., NeurIPS 2022): its predictions of hidden tokens and their errors, and its encoder's
embeddings of whole clips. Networks and image processors are transformers'.
"""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pixelplay.backbones.frozen import hash_of_weights
from pixelplay.backbones.state_dict import short
from pixelplay.detectors.videomae.hub import videomae_folder
from pixelplay.detectors.videomae.tokens import (
    LOSS_MEAN,
    LOSS_STD,
    clip_size,
    coloured,
    frames_of,
    mean_and_scale,
    tokens_of,
    whitened,
)
from pixelplay.errors import ConfigError, DataError, WeightsError
from pixelplay.run.atomic import replaced_folder
from pixelplay.run.fingerprints import fingerprint
from pixelplay.training.device import autocast_bf16

if TYPE_CHECKING:  # slow to import
    from transformers import VideoMAEForPreTraining

# An image processor's settings that change pixels; a newer transformers may add others that do not.
IMAGE_SETTINGS = {
    *("do_resize", "size", "resample", "do_center_crop", "crop_size"),
    *("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std"),
}


class VideoMAE:
    """A VideoMAE with its image processor.

    frames, tubelet, patch, side: frames of a clip and of a token, side of a token and of the image in pixels.
    grid: tokens in time, height and width; tokens: of a clip. identity: fingerprint of weights and settings.
    bf16: compute in bfloat16. normalises_targets: whether a token's colours are predicted standardised.
    Masks are bool (N, tokens), True where a token is hidden.
    """

    def __init__(self, model: "VideoMAEForPreTraining", processor: Any, device: torch.device, bf16: bool):
        """model and processor: transformers' own, for each other. Raises ConfigError for sizes that don't fit."""
        self.frames, self.tubelet, self.patch, self.side = clip_size(model.config)
        self.grid = (self.frames // self.tubelet, self.side // self.patch, self.side // self.patch)
        self.tokens = math.prod(self.grid)
        self.bf16, self._device, self._processor = bf16, device, processor
        self._mean, self._std = list(processor.image_mean), list(processor.image_std)
        self.normalises_targets = bool(model.config.norm_pix_loss)
        images = {name: value for name, value in processor.to_dict().items() if name in IMAGE_SETTINGS}
        settings = [self.frames, self.tubelet, self.patch, self.side, self.normalises_targets, images]
        self.identity = fingerprint(hash_of_weights(model), settings)
        self.model = model.requires_grad_(False).eval().to(device)

    @classmethod
    def load(
        cls, source: str | Path, device: torch.device, key: str = "weights.videomae", bf16: bool | None = None
    ) -> "VideoMAE":
        """The model that a hub name or a folder names; `key` is the setting that named it. bf16: None for `auto`.

        Raises ConfigError for another kind of model, WeightsError for weights not found, damaged or incomplete.
        """
        from transformers import AutoImageProcessor, VideoMAEForPreTraining

        folder = videomae_folder(str(source), key)
        try:
            kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
        except (OSError, ValueError, AttributeError) as error:
            raise WeightsError(f"{key}={source}: {folder}/config.json can't be read ({error}): get it again") from None
        if kind != "videomae":
            raise ConfigError(f"{key}={source} is a model of type {kind!r}: must be a VideoMAE")
        keep_quiet()
        try:
            processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            options = {"local_files_only": True, "dtype": torch.float32, "output_loading_info": True}
            model, found = VideoMAEForPreTraining.from_pretrained(folder, **options)
        except Exception as error:  # safetensors, pickle, json and transformers raise various errors for damaged files
            raise WeightsError(f"{key}={source}: {folder} can't be read ({short(error)}): get it again") from None
        if names := sorted(found["missing_keys"]):  # transformers leaves them random, without an error
            raise WeightsError(
                f"{key}={source}: {len(names)} tensors are missing, such as {names[0]}: it must be a pre-trained "
                "VideoMAE with its decoder, such as MCG-NJU/videomae-base"
            )
        return cls(model, processor, device, autocast_bf16("auto", device) if bf16 is None else bf16)

    def inputs(self, clips: np.ndarray, crop: bool = False) -> torch.Tensor:
        """Inputs float32 (N, frames, 3, side, side), on the device, of clips uint8 (N, frames, H, W, 3) RGB.

        The image processor resizes the whole frame to the square; crop: the short side, then it crops the centre.
        Raises DataError for clips of another length.
        """
        if clips.ndim != 5 or clips.shape[1] != self.frames or clips.shape[-1] != 3:
            raise DataError(f"clips of shape {clips.shape}: this VideoMAE takes (N, {self.frames}, H, W, 3)")
        options = {"input_data_format": "channels_last", "return_tensors": "pt", "device": self._device}
        options |= {} if crop else {"size": {"height": self.side, "width": self.side}, "do_center_crop": False}
        return self._processor([list(clip) for clip in clips], **options)["pixel_values"].to(self._device)

    def save(self, folder: Path) -> None:
        """Write all that `load` needs to a folder in the hub's layout, in place of what is there."""
        with replaced_folder(folder) as temporary:
            self.model.save_pretrained(temporary)
            self._processor.save_pretrained(temporary)

    @torch.inference_mode()
    def errors(self, inputs: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean squared error of each hidden token, float32 (N, tokens), 0 where visible; and the model's own loss.

        A token's target is that of the loss: its pixels in [0, 1], normalised per colour if the model was trained so.
        Raises DataError for masks that do not hide the same number of tokens in every row, or hide all or none.
        """
        errors, loss = self.mean_errors(inputs, masks[None])
        return errors.masked_fill_(~masks.to(errors.device), 0), loss

    @torch.inference_mode()
    def mean_errors(self, inputs: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean error of each token over the masks that hide it, float32 (N, tokens), NaN where none does; and the mean
        of the model's own losses. masks: bool (n, N, tokens), or (n, tokens) for all clips. Raises as `errors`.
        """
        if masks.ndim == 2:
            masks = masks[:, None].expand(-1, len(inputs), -1)
        masks = torch.stack([self._checked(inputs, mask) for mask in masks])
        tokens, mean, scale = self._tokens(inputs)
        targets = ((tokens - mean) / scale).flatten(2)  # (N, tokens, pixels * 3)
        total, losses = torch.zeros(masks.shape[1:], device=inputs.device), []
        for hidden in masks:
            predicted, loss = self._predict(inputs, hidden)
            total[hidden] += (predicted - targets[hidden]).square_().mean(dim=-1)
            losses.append(loss)
        return total / masks.sum(dim=0), torch.stack(losses).mean()

    @torch.inference_mode()
    def reconstruct(self, inputs: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Clips float32 (N, frames, 3, side, side) in [0, 1]: hidden tokens as predicted, visible ones as given.

        A model that predicts normalised pixels gets each token's true mean colour and contrast. Raises as `errors`.
        """
        masks = self._checked(inputs, masks)
        predicted, _ = self._predict(inputs, masks)
        tokens, *normalisation = self._tokens(inputs)
        mean, scale = (x.expand(*masks.shape, 1, 3)[masks] for x in normalisation)
        tokens[masks] = predicted.unflatten(-1, (-1, 3)) * scale + mean
        seen = whitened(frames_of(tokens, self.grid, self.tubelet, self.patch), LOSS_MEAN, LOSS_STD)
        return coloured(seen, self._mean, self._std).clamp_(0, 1)

    @torch.inference_mode()
    def embed(self, inputs: torch.Tensor) -> torch.Tensor:
        """The encoder's last hidden state of whole clips, averaged over space, float32 (N, frames / tubelet, d)."""
        self._require_inputs(inputs)
        nothing = torch.zeros(len(inputs), self.tokens, dtype=torch.bool, device=inputs.device)
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self.bf16):
            tokens = self.model.videomae(inputs, bool_masked_pos=nothing).last_hidden_state
        return self.over_space(tokens.float())

    def over_space(self, tokens: torch.Tensor) -> torch.Tensor:
        """Means of the tokens of each moment, (N, frames / tubelet, d), of those of whole clips, (N, tokens, d)."""
        return tokens.unflatten(1, (self.grid[0], -1)).mean(dim=2)

    @property
    def colours(self) -> dict[str, list[float]]:
        """What the inputs are normalised by: mean and standard deviation of R, G and B in [0, 1]."""
        return {"mean": self._mean, "std": self._std}

    def on_pixels(self, tokens: torch.Tensor) -> torch.Tensor:
        """Values of tokens, (N, tokens), at each of their pixels: (N, frames, side, side)."""
        values = tokens[:, :, None, None].expand(-1, -1, self.tubelet * self.patch * self.patch, 1)
        return frames_of(values, self.grid, self.tubelet, self.patch).squeeze(2)

    def _predict(self, inputs: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Predictions of all hidden tokens, float32 (N * hidden, pixels * 3), and the model's loss."""
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self.bf16):
            output = self.model(inputs, bool_masked_pos=masks)
        return output.logits.float().flatten(0, 1), output.loss.float()

    def _tokens(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Tokens of inputs, (N, tokens, tubelet * patch * patch, 3), as the loss sees their pixels; what is subtracted
        from them, and what they are divided by, to make its targets.
        """
        tokens = tokens_of(coloured(inputs, LOSS_MEAN, LOSS_STD), self.tubelet, self.patch)
        mean, scale = mean_and_scale(tokens) if self.normalises_targets else tokens.new_tensor([0, 1])
        return tokens, mean, scale

    def _checked(self, inputs: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        self._require_inputs(inputs)
        if masks.shape != (len(inputs), self.tokens) or masks.dtype != torch.bool:
            given = f"masks {masks.dtype} {tuple(masks.shape)} for {len(inputs)} clips"
            raise DataError(f"{given}: must be bool ({len(inputs)}, {self.tokens})")
        hidden = masks.sum(dim=1).unique().tolist()
        if len(hidden) != 1 or hidden[0] in (0, self.tokens):
            raise DataError(
                f"masks that hide {', '.join(map(str, hidden))} of {self.tokens} tokens: every row of a batch must "
                "hide the same number, neither none nor all"
            )
        return masks.to(inputs.device)

    def _require_inputs(self, inputs: torch.Tensor) -> None:
        expected = (self.frames, 3, self.side, self.side)
        if inputs.shape[1:] != expected:
            raise DataError(f"inputs of shape {tuple(inputs.shape)}: this VideoMAE takes (N, {expected})")


def keep_quiet() -> None:
    """Silence transformers' progress bars and its loading reports; `load` checks what they say."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
