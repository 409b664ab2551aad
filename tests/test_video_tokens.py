"""Tokens of clips: cut and put back, coloured and whitened, and how their errors are pooled, by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pixelplay.detectors.videomae.tokens import (
    coloured,
    frames_of,
    mean_and_scale,
    normalised,
    pool_tokens,
    tokens_of,
    whitened,
)


def test_a_token_is_a_square_of_consecutive_frames_its_colours_last():
    frames = torch.arange(4 * 3 * 4 * 6.0).reshape(1, 4, 3, 4, 6)
    tokens = tokens_of(frames, tubelet=2, patch=2)
    assert tokens.shape == (1, 12, 8, 3)  # 2 moments, 2 rows and 3 columns of tokens
    expected = frames[0, 2:4, :, 2:4, 0:2].permute(0, 2, 3, 1).reshape(8, 3)
    assert torch.equal(tokens[0, 6 + 3], expected)  # the second moment's second row


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_frames_come_back_from_their_tokens(time: int, rows: int, columns: int, tubelet: int, patch: int):
    frames = torch.rand(2, time * tubelet, 3, rows * patch, columns * patch)
    tokens = tokens_of(frames, tubelet, patch)
    assert torch.equal(frames_of(tokens, (time, rows, columns), tubelet, patch), frames)


def test_colours_are_normalised_one_by_one_and_brought_back():
    clips = torch.tensor([0, 51, 255], dtype=torch.uint8).expand(1, 1, 2, 2, 3)
    mean, std = [0.5, 0.2, 0.0], [0.5, 0.1, 2.0]
    inputs = normalised(clips, mean, std)
    assert inputs.shape == (1, 1, 3, 2, 2)
    assert inputs[0, 0, :, 0, 0].tolist() == pytest.approx([-1.0, 0.0, 0.5], abs=1e-6)
    back = coloured(inputs, mean, std)
    assert back[0, 0, :, 1, 1].tolist() == pytest.approx([0.0, 0.2, 1.0], abs=1e-6)
    assert torch.allclose(whitened(back, mean, std), inputs)


def test_a_token_s_mean_and_contrast_are_those_of_each_colour():
    tokens = torch.tensor([[1.0, 10.0, 5.0], [3.0, 10.0, 7.0]])[None, None]  # one token of two pixels
    mean, scale = mean_and_scale(tokens)
    assert mean[0, 0, 0].tolist() == [2.0, 10.0, 6.0]
    assert scale[0, 0, 0].tolist() == pytest.approx([2**0.5, 1e-6, 2**0.5], abs=2e-6)  # divided by n - 1


def test_errors_of_a_moment_are_pooled_by_their_mean_and_by_the_largest_share():
    errors = torch.tensor([[[1.0, 4.0, 2.0, 9.0], [0.0, 0.0, 8.0, 0.0]]])
    pooled = pool_tokens(errors, top=0.5)
    assert pooled["mean"].tolist() == [[4.0, 2.0]]
    assert pooled["top"].tolist() == [[6.5, 4.0]]
    assert pool_tokens(errors, top=0.01)["top"].tolist() == [[9.0, 8.0]]  # one at least


def test_tokens_without_an_error_count_for_nothing():
    gap = torch.nan
    errors = torch.tensor([[[1.0, gap, 3.0, gap], [gap, gap, gap, 8.0], [gap] * 4], [[2.0] * 4, [gap] * 4, [4.0] * 4]])
    pooled = pool_tokens(errors, top=0.5)
    assert pooled["mean"].tolist() == [[2.0, 8.0, 4.0], [2.0, 3.0, 4.0]]  # a moment without any: its clip's mean
    assert pooled["top"].tolist() == [[2.0, 8.0, 4.0], [2.0, 3.0, 4.0]]
    assert np.isfinite(pooled["top"].numpy()).all()
