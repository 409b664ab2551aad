"""Scores of tracked objects by a trained network: reconstruction errors, and how far embeddings move."""

from collections.abc import Iterator

import numpy as np
import torch

from pixelplay.detectors.temporal_mae.losses import consecutive
from pixelplay.detectors.temporal_mae.network import TemporalMAE
from pixelplay.detectors.temporal_mae.sequences import read_maps, sequences
from pixelplay.objects.features import Features
from pixelplay.objects.tracks import Tracks, by_track
from pixelplay.scores.settings import SmoothConfig
from pixelplay.scores.smooth import ema

STREAMS = ("reconstruction", "embedding")

Raw = dict[str, np.ndarray]  # by stream, float64 (N,), a score for each row of a table of tracks


@torch.inference_mode()
def raw_scores(model: TemporalMAE, tracks: Tracks, features: Features, stride: int, batch_size: int) -> Raw:
    """A score of each stream for each row of the table of tracks, float64 (N,); NaN where it has none.

    Means over the windows that cover the row, one every `stride` frames of its track; causally: see `causal_scores`.
    batch_size: windows, each of which takes as many sequences as it has steps.
    """
    device = model.positions.device
    every = sequences(tracks, features, len(model.positions), stride)
    sums, counts = np.zeros((2, len(tracks))), np.zeros((2, len(tracks)))
    for rows, real in _full_batches(every.rows, batch_size):
        maps = torch.from_numpy(read_maps(features, rows)).to(device)
        tokens, targets = model.tokens(maps), model.targets(maps)
        found = window_scores(model, tokens, targets, torch.from_numpy(rows >= 0).to(device), slice(None))
        at = rows[:real]
        for i, values in enumerate(found):
            scored = values[:real].cpu().double().numpy()  # (n, T)
            there = (at >= 0) & ~np.isnan(scored)
            np.add.at(sums[i], at[there], scored[there])
            np.add.at(counts[i], at[there], 1)
    with np.errstate(invalid="ignore"):
        return dict(zip(STREAMS, sums / counts, strict=True))


def window_scores(
    model: TemporalMAE, tokens: torch.Tensor, targets: torch.Tensor, valid: torch.Tensor, steps: slice
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of K steps of windows of tokens (B, T, d): reconstruction errors, each step masked alone in turn, and 1 - cosine
    with the embedding of the step before, unmasked, NaN where there is none; both (B, K).

    targets: of these steps (B, K, C). valid: bool (B, T), where a window has a token.
    """
    count, length = valid.shape
    hidden = torch.eye(length, dtype=torch.bool, device=valid.device)[steps]  # (K, T)
    turns = len(hidden)
    encoded = model.encode(
        tokens.repeat_interleave(turns, 0), valid.repeat_interleave(turns, 0), hidden.repeat(count, 1)
    )  # (B * K, T, d)
    masked = encoded[hidden.repeat(count, 1)].unflatten(0, (count, turns))  # (B, K, d)
    errors = (model.reconstruction(masked) - targets).square().mean(dim=-1)
    embedded = model.embed(model.encode(tokens, valid, torch.zeros_like(valid)))  # (B, T, E)
    before = consecutive(valid)  # (B, T)
    earlier = embedded.gather(1, before.clamp(min=0)[..., None].expand_as(embedded))
    apart = (1 - (embedded * earlier).sum(dim=-1)).clamp(min=0).masked_fill(before < 0, torch.nan)
    return errors, apart[:, steps]


def _full_batches(rows: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Batches of exactly `size` windows, the last filled up with copies, and how many are none.

    Rounding depends on the shape of a batch; so it does not depend on how many windows follow.
    """
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        yield np.pad(part, ((0, size - len(part)), (0, 0)), mode="edge"), len(part)


def smoothed(scores: np.ndarray, tracks: Tracks, decay: float) -> np.ndarray:
    """Scores (N,) of the rows of `tracks`, averaged along each track: s_t = decay s_(t-1) + (1 - decay) x_t.

    As `pixelplay.scores.smooth.ema`: a gap of frames fades what was before it, and the first scores of a track are
    averages of the few there are.
    """
    result = scores.copy()
    for rows in by_track(tracks):
        result[rows] = ema(scores[rows], tracks.position[rows], np.ones(len(rows)), averaging(decay))
    return result


def averaging(decay: float) -> SmoothConfig:
    """How scores are averaged along a track."""
    return SmoothConfig(method="ema", decay=decay, window=1, sigma=1.0, polyorder=0)
