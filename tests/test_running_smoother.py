"""Smoothing while scores come, against the smoothers of whole videos on all frames so far."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.test_smooth import GAPS, PARTS, config

from pixelplay.cli import load_config
from pixelplay.errors import DataError
from pixelplay.scores.resmoothed import causal
from pixelplay.scores.running import RunningSmoother
from pixelplay.scores.smooth import CAUSAL, SMOOTHERS, smooth


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(CAUSAL)), GAPS, st.builds(dict, **PARTS), st.integers(0, 2**32 - 1), st.booleans())
def test_each_step_gives_what_the_whole_video_so_far_would(method, gaps, parts, seed, weighted):
    how, rng = config(method, **{**parts, "polyorder": 0}), np.random.default_rng(seed)
    frames = np.cumsum([0, *gaps])
    scores = rng.normal(size=(len(frames), 2)) * [1.0, 1e3]
    weights = rng.choice([0.0, 0.0, 0.3, 1.0], len(frames)) if weighted else np.ones(len(frames))
    running = RunningSmoother(how)
    found = [running.step(int(frame), *row) for frame, *row in zip(frames, scores, weights, strict=True)]
    wanted = np.stack([smooth(of, frames, how, weights) for of in scores.T], axis=1)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("method", sorted(CAUSAL))
def test_a_constant_stays_that_very_constant(method):
    running = RunningSmoother(config(method, sigma=3.0))
    assert {float(running.step(frame, np.array([0.1]), 0.7)[0]) for frame in range(50)} == {0.1}


def test_frames_must_come_in_order_and_smoothers_must_be_causal():
    running = RunningSmoother(config("causal_gaussian"))
    running.step(4, np.array([1.0]))
    with pytest.raises(DataError, match="4 comes after 4"):
        running.step(4, np.array([1.0]))
    with pytest.raises(ValueError, match="gaussian looks at later frames"):
        RunningSmoother(config("gaussian"))


@pytest.mark.parametrize("method", sorted(CAUSAL))
def test_memory_is_that_of_the_window_however_long_the_stream_is(method):
    running = RunningSmoother(config(method, window=30, sigma=5.0))
    for frame in range(200):
        running.step(frame, np.array([1.0, 2.0]))
    before = len(pickle.dumps(running))
    for frame in range(200, 1_000):
        running.step(frame, np.array([frame % 7.0, 2.0]))
    assert len(pickle.dumps(running)) < before + 100


def test_the_causal_counterpart_of_a_fusion_looks_at_no_later_frame():
    changed = ["fusion.default.smooth.method=savitzky_golay", "fusion.objects.smooth.method=median"]
    fusion = load_config(["fusion=source", *changed]).fusion
    found = causal(fusion)
    parts = [part for composite in found.composites.values() for part in composite.streams.values()]
    members = [found.default, found.external_default, found.objects, *parts, *found.members.values()]
    assert {one.smooth.method for one in members} <= CAUSAL
    assert found.members["conv_ae"].smooth == fusion.members["conv_ae"].smooth.model_copy(
        update={"method": "causal_moving_average"}
    )
    assert (found.default.smooth.method, found.objects.smooth.method) == ("causal_moving_average", "causal_median")
    assert causal(found) == found
    assert found.members["conv_ae"].normalise == fusion.members["conv_ae"].normalise
    assert set(SMOOTHERS) - CAUSAL == {"moving_average", "gaussian", "median", "savitzky_golay"}
