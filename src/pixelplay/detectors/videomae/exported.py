"""The networks of a VideoMAE for other libraries than PyTorch: its encoder, and its prediction of hidden tokens."""

from typing import Any

import torch

from pixelplay.backbones.exports import AREA, Exported, Function, Network, in_place_of
from pixelplay.backbones.frozen import hash_of_weights
from pixelplay.detectors.videomae.model import VideoMAE

CLIPS = "(N, frames, 3, side, side): (RGB / 255 - mean) / std, the oldest frame first"


def encoder(model: VideoMAE, preprocessing: dict[str, Any], postprocessing: dict[str, Any]) -> Exported:
    """From clips to `VideoMAE.embed`'s vectors."""
    network = model.model.videomae

    def vectors(clips: torch.Tensor) -> torch.Tensor:
        return model.over_space(network(clips, bool_masked_pos=None).last_hidden_state)

    return Exported(
        module=Function(network, vectors),
        inputs={"clips": CLIPS},
        outputs={"vectors": "(N, frames / tubelet, width): of each moment, the mean over space"},
        example=lambda count: (torch.randn(count, model.frames, 3, model.side, model.side),),
        use=in_place_of(model, "embed"),
        weights=hash_of_weights(network),
        preprocessing=_preprocessing(model) | preprocessing,
        postprocessing=postprocessing,
    )


def prediction(
    model: VideoMAE, mask: torch.Tensor, preprocessing: dict[str, Any], postprocessing: dict[str, Any]
) -> Exported:
    """From clips and masks to what is predicted of hidden tokens. mask: one of those in use, bool (tokens,)."""
    network = model.model

    def predicted(clips: torch.Tensor, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        output = network(clips, bool_masked_pos=hidden)
        return output.logits, output.loss

    def flat(function: Network) -> Network:
        def predict(inputs: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits, loss = function(inputs, masks)
            return logits.flatten(0, 1), loss

        return predict

    return Exported(
        module=Function(network, predicted),
        inputs={"clips": CLIPS, "hidden": "(N, tokens): the same number in every row, neither none nor all"},
        outputs={
            "predicted": "(N, hidden tokens, values): of each hidden token, pixel by pixel, its colours",
            "loss": "(): the model's own, of the batch",
        },
        example=lambda count: (
            torch.randn(count, model.frames, 3, model.side, model.side),
            torch.stack([mask.roll(shift) for shift in range(count)]),
        ),
        use=lambda function: in_place_of(model, "_predict")(flat(function)),
        weights=hash_of_weights(network),
        preprocessing=_preprocessing(model) | preprocessing,
        postprocessing=postprocessing,
        axes={"predicted": {1: "hidden"}},
    )


def _preprocessing(model: VideoMAE) -> dict[str, Any]:
    return {
        "resize": AREA,
        **model.colours,
        "frames": model.frames,
        "start": "before there are so many frames, the first one is repeated",
        "due": "a clip ends at frames 0, stride, 2 * stride and so on",
        "tubelet": model.tubelet,
        "patch": model.patch,
        "tokens": list(model.grid),
    }
