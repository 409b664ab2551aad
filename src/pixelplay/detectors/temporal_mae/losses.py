"""Losses of the temporal masked autoencoder: means over the steps that count, 0 where there are none."""

import torch
from torch.nn import functional as F


def squared_error(predicted: torch.Tensor, target: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Mean squared error over channels and the steps that count: (..., C) twice, and bool (...)."""
    return _mean((predicted - target).square().mean(dim=-1), counts)


def consecutive(valid: torch.Tensor) -> torch.Tensor:
    """For each step the latest valid one before it in its window, int64 (B, T): -1 where there is none, or where the
    step itself is not valid. valid: bool (B, T). A gap lies between the two where there is one.
    """
    at = torch.where(valid, torch.arange(valid.shape[1], device=valid.device), -1)
    before = F.pad(at.cummax(dim=1).values[:, :-1], (1, 0), value=-1)  # (B, T)
    return torch.where(valid, before, -1)


def info_nce(embeddings: torch.Tensor, valid: torch.Tensor, track: torch.Tensor, temperature: float) -> torch.Tensor:
    """InfoNCE (van den Oord et al., 2018) of consecutive valid steps of a track against other tracks' steps.

    embeddings: on the unit sphere, (B, T, E); valid: bool (B, T); track: int (B,), windows of one track have one id
    and are no negatives of each other. The mean over all pairs of -log of the softmax of their cosine / temperature.
    """
    before = consecutive(valid)  # (B, T)
    window, step = torch.nonzero(before >= 0, as_tuple=True)  # (P,), (P,)
    anchors, positives = embeddings[window, before[window, step]], embeddings[window, step]  # (P, E)
    logits = anchors @ positives.T / temperature  # (P, P)
    own = track[window]
    same = (own[:, None] == own) & ~torch.eye(len(own), dtype=torch.bool, device=own.device)
    scores = logits.masked_fill(same, -torch.inf).log_softmax(dim=1).diagonal()
    return -_mean(scores, torch.ones_like(own, dtype=torch.bool))


def _mean(values: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    return values.masked_fill(~counts, 0.0).sum() / counts.sum().clamp(min=1)
