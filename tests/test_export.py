"""Exported networks: what they compute is PyTorch's, whatever the batch, and old or damaged files are refused."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tests.test_detector_contract import CASES, Fitted, config_of, walk, weights

from pixelplay.detectors.base import Scores
from pixelplay.detectors.exports import Exports
from pixelplay.export.network_file import About, read, write
from pixelplay.export.parity import inputs_of

pytest.importorskip("onnxruntime")
__all__ = ["weights"]  # a fixture

NETWORKS = {
    "conv_ae": ["autoencoder"],
    "st_ae": ["autoencoder"],
    "videopatchcore": ["backbone"],
    "event_completion": ["completion"],
    "temporal_mae": ["tokens", "encoder", "reconstruction", "embedding"],
    "videomae_profile": ["encoder"],
    "videomae_reconstruction": ["prediction"],
}


@pytest.fixture(scope="module")
def prepared(weights: list[str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Fitted]:
    return cache(lambda name: Fitted(name, config_of(name, weights), tmp_path_factory.mktemp(name)))


def exported(fitted: Fitted, folder: Path) -> dict[str, About]:
    """The networks of a detector in `folder`, as the command writes them."""
    detector = fitted.loaded()
    assert isinstance(detector, Exports)
    networks = detector.networks()
    seen = inputs_of(networks, detector.score, fitted.heldout.calibration)
    return {name: write(folder, name, one, seen.get(name), "test") for name, one in networks.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_compute_what_they_do_in_pytorch_and_scores_stay(prepared, name: str, tmp_path: Path):
    fitted = prepared(name)
    abouts = exported(fitted, tmp_path)
    assert list(abouts) == NETWORKS[name]
    for about in abouts.values():
        assert about.parity.random <= 1e-4 and about.parity.heldout is not None and about.parity.heldout <= 1e-4
        assert (tmp_path / about.file).is_file()
    plain, other = fitted.loaded(), fitted.loaded()
    for network, one in other.networks().items():
        one.use(read(tmp_path, network, one))
    video = fitted.video("new", *walk(13, 5))
    for causal in (False, True):
        require_close(plain.score(video, causal), other.score(video, causal))


def require_close(first: Scores, second: Scores) -> None:
    for stream, values in first.streams.items():
        np.testing.assert_allclose(second.streams[stream], values, rtol=1e-4, atol=1e-4, err_msg=stream)
    if first.objects is not None:
        pairs = zip(first.objects["score"], second.objects["score"], strict=True)
        assert max(abs(a - b) / max(1, abs(a)) for a, b in pairs) <= 1e-4


def test_every_detector_with_a_network_is_listed_here(prepared):
    examples = ("frame_difference", "next_frame")  # of the documentation
    others = [name for name in CASES if name not in (*NETWORKS, *examples)]
    assert not any(isinstance(prepared(name).new(), Exports) for name in others)
