"""An encoder as half of an autoencoder of crops: what the contrastive one is measured against."""

import torch
from torch import nn
from torch.nn import functional as F

from pixelplay.backbones.encoder import Decoder, Encoder
from pixelplay.backbones.views import Views, as_crops, as_seen


class CropReconstruction(nn.Module):
    """The loss by which a decoder gets a view without its noise back from the last stage of `encoder`."""

    def __init__(self, encoder: Encoder, decoder: Decoder, views: Views):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self._views = views

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Mean squared error over the crops of a batch of pairs, uint8 (B, 2, S, S, 3)."""
        fed, clean = self._views.of(as_crops(batch))
        return F.mse_loss(self.decoder(self.encoder(as_seen(fed))[1]), as_seen(clean))
