"""The temporal masked autoencoder: a transformer over the steps of a track, some of which are hidden from it.

After He et al., *Masked Autoencoders*, CVPR 2022, with mask tokens in the encoder itself, as in BERT. Shapes: B windows
of T steps, maps of C channels and S x S cells, width d.

What is reconstructed is the standardised mean of a step's map, whatever the pooling: fixed numbers, which no weight can
change. Were the target what the learned attention pools, all could be pooled to one constant vector and reconstructed
without error; here a collapsed pooling only loses information, and losses of different poolings can be compared.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field, model_validator
from torch import nn
from torch.nn import functional as F

from pixelplay.settings import Channels, NonNegative, Positive, Settings

FLOOR = 0.01  # least standard deviation, in mean ones: a channel that is silent in normal footage must not outweigh all


class TransformerSettings(Settings):
    width: Annotated[int, Field(ge=2, le=65_536, multiple_of=2)]  # sines and cosines of positions are pairs
    depth: Annotated[int, Field(ge=1, le=256)]
    heads: Annotated[int, Field(ge=1, le=1024)]
    feed_forward: Channels

    @model_validator(mode="after")
    def _divides(self) -> "TransformerSettings":
        if self.width % self.heads:
            raise ValueError(f"width={self.width}: must be divisible by heads={self.heads}")
        return self


class ReconstructionSettings(Settings):
    weight: Positive  # of its loss
    hidden: Channels


class ContrastiveSettings(Settings):
    weight: NonNegative  # of its loss; 0: no such head
    hidden: Channels
    size: Channels  # of an embedding
    temperature: Positive


class ForecastSettings(Settings):
    weight: NonNegative  # of its loss; 0: no such head
    hidden: Channels
    steps: Annotated[int, Field(ge=1, le=1000)]  # predicted after the window


class HeadsSettings(Settings):
    reconstruction: ReconstructionSettings
    contrastive: ContrastiveSettings
    forecast: ForecastSettings

    @property
    def future(self) -> int:
        """Steps after a window that training reads."""
        return self.forecast.steps if self.forecast.weight else 0


class AveragePooling(nn.Module):
    """`gap`: the mean of the cells."""

    def __init__(self, channels: int):
        super().__init__()
        self.size = channels

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.mean(dim=(-2, -1))  # (..., C)


class AttentionPooling(nn.Module):
    """`attention`: the cells weighted by a softmax of their product with a learned query.

    With one query, projections of keys and query would be one vector, too: the query learns both.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.size = channels
        self.query = nn.Parameter(torch.randn(channels) / math.sqrt(channels))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        cells = maps.flatten(-2)  # (..., C, S * S)
        weights = torch.softmax(self.query @ cells / math.sqrt(self.size), dim=-1)  # (..., S * S)
        return (cells @ weights[..., None])[..., 0]  # (..., C)


class HybridPooling(nn.Module):
    """`hybrid`: both, concatenated."""

    def __init__(self, channels: int):
        super().__init__()
        self.size = 2 * channels
        self.average, self.attention = AveragePooling(channels), AttentionPooling(channels)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.average(maps), self.attention(maps)], dim=-1)  # (..., 2 C)


Pooling = AveragePooling | AttentionPooling | HybridPooling
POOLINGS: dict[str, Callable[[int], Pooling]] = {
    "gap": AveragePooling,
    "attention": AttentionPooling,
    "hybrid": HybridPooling,
}


@dataclass(frozen=True)
class Statistics:
    """Of normal maps, by channel, float32 (C,): mean, standard deviation of the cells and of the maps' means."""

    mean: torch.Tensor
    cell_std: torch.Tensor
    mean_std: torch.Tensor


class TemporalMAE(nn.Module):
    """Pooling, transformer and heads; the statistics by which maps are standardised are saved with the weights."""

    positions: torch.Tensor  # (T, d)
    mean: torch.Tensor  # (C,), as in `Statistics`
    cell_std: torch.Tensor
    mean_std: torch.Tensor

    def __init__(
        self, channels: int, window: int, pooling: str, transformer: TransformerSettings, heads: HeadsSettings
    ):
        super().__init__()
        width = transformer.width
        self.pooling = POOLINGS[pooling](channels)
        self.projection = nn.Linear(self.pooling.size, width)
        self.mask_token = nn.Parameter(torch.randn(width) * 0.02)
        self.register_buffer("positions", sinusoids(window, width), persistent=False)
        layer = nn.TransformerEncoderLayer(
            width, transformer.heads, transformer.feed_forward, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(
            layer, transformer.depth, norm=nn.LayerNorm(width), enable_nested_tensor=False
        )
        self.reconstruction = _mlp(width, heads.reconstruction.hidden, channels)
        own = heads.contrastive
        self.contrastive = _mlp(width, own.hidden, own.size) if own.weight else None
        self.future = heads.future
        self.forecast = _mlp(width, heads.forecast.hidden, self.future * channels) if self.future else None
        for name in ("mean", "cell_std", "mean_std"):
            self.register_buffer(name, torch.ones(channels))

    def standardise(self, statistics: Statistics) -> None:
        """Set what maps are standardised by."""
        self.mean.copy_(statistics.mean)
        for name in ("cell_std", "mean_std"):
            std = getattr(statistics, name)
            floor = FLOOR * std.mean()
            getattr(self, name).copy_(std.clamp(min=float(floor) or 1.0))

    def targets(self, maps: torch.Tensor) -> torch.Tensor:
        """What is to be reconstructed of maps (..., C, S, S): their standardised means, (..., C)."""
        return (maps.float().mean(dim=(-2, -1)) - self.mean) / self.mean_std

    def tokens(self, maps: torch.Tensor) -> torch.Tensor:
        """Of each map (..., C, S, S) by itself, (..., d), without its position."""
        cells = (maps.float() - self.mean[:, None, None]) / self.cell_std[:, None, None]
        return self.projection(self.pooling(cells))

    def encode(self, tokens: torch.Tensor, valid: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Encode windows of tokens (B, T, d) to (B, T, d).

        valid: which steps have a token, bool (B, T), one or more in each window; the others are attended to by none.
        hidden: which are replaced by the mask token before anything else sees them, bool (B, T).
        """
        unseen = (hidden | ~valid)[..., None]
        x = torch.where(unseen, self.mask_token.to(tokens.dtype), tokens) + self.positions  # (B, T, d)
        return self.encoder(x, src_key_padding_mask=~valid)

    def embed(self, encoded: torch.Tensor) -> torch.Tensor:
        """Points (..., size) on the unit sphere; of the encoder's own output where there is no contrastive head."""
        return F.normalize(encoded if self.contrastive is None else self.contrastive(encoded), dim=-1)

    def forecasts(self, encoded: torch.Tensor) -> torch.Tensor:
        """The steps after windows that were encoded to (B, T, d), from their last step: (B, K, C)."""
        assert self.forecast is not None, "training.heads.forecast.weight is 0"
        return self.forecast(encoded[:, -1]).unflatten(-1, (self.future, -1))


def sinusoids(count: int, width: int) -> torch.Tensor:
    """Encodings of positions 0..count-1, (count, width): Vaswani et al., *Attention Is All You Need*, section 3.5."""
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))  # (width / 2,)
    angle = torch.arange(count)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


def _mlp(before: int, hidden: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(before, hidden), nn.GELU(), nn.Linear(hidden, after))
