"""The normal profile: the moments of all vectors in one pass, whatever their grouping, and of one model alone."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.own_process import in_own_process, peak

from pixelplay.detectors.videomae.profile import Profile, joined
from pixelplay.errors import ConfigError, DamagedArtifactError, MissingArtifactError


def profile(vectors: np.ndarray, identity: str = "m") -> Profile:
    return Profile.of(vectors, "a model", identity)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.integers(0, 999), st.sampled_from([0.0, 1e6]))
def test_joined_profiles_are_the_moments_of_all_vectors(sizes: list[int], seed: int, far: float):
    parts = [far + np.random.default_rng([seed, i]).normal(size=(n, 3)) for i, n in enumerate(sizes)]
    whole, every = joined(profile(part) for part in parts), np.concatenate(parts)
    assert whole.count == len(every)
    np.testing.assert_allclose(whole.mean, every.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(whole.variance, every.var(axis=0), rtol=1e-6, atol=1e-9)


def test_a_hand_worked_profile():
    whole = joined([profile(np.array([[1.0, 5.0]])), profile(np.array([[3.0, 5.0], [5.0, 8.0]]))])
    assert (whole.count, whole.mean.tolist(), whole.variance.tolist()) == (3, [3.0, 6.0], [8 / 3, 2.0])


@in_own_process
def test_a_profile_of_many_needs_no_more_memory_than_one_of_few():
    def of(count: int) -> int:
        return peak(lambda: joined(profile(np.ones((100, 64), np.float32)) for _ in range(count)))

    _, few, many = of(1), of(5), of(200)
    assert many < 1.1 * few, (few, many)


def test_a_saved_profile_is_the_same_when_it_is_loaded(tmp_path: Path):
    first = profile(np.random.default_rng(0).normal(size=(5, 4)))
    first.save(tmp_path / "a" / "profile.safetensors")
    second = Profile.load(tmp_path / "a" / "profile.safetensors", "m")
    assert (second.count, second.model, second.identity) == (5, "a model", "m")
    assert np.array_equal(second.mean, first.mean) and np.array_equal(second.deviations, first.deviations)


def test_the_profile_of_another_model_is_refused(tmp_path: Path):
    profile(np.ones((2, 3))).save(tmp_path / "profile.safetensors")
    with pytest.raises(DamagedArtifactError, match=r"made by another model \(m\) than is used now \(other\)"):
        Profile.load(tmp_path / "profile.safetensors", "other")
    with pytest.raises(ConfigError, match="another model"):
        joined([profile(np.ones((2, 3))), profile(np.ones((2, 3)), "other")])


@pytest.mark.parametrize("content", [b"", b"\x93" * 300, None])
def test_a_damaged_or_missing_profile_is_refused_with_what_to_do(content: bytes | None, tmp_path: Path):
    path = tmp_path / "profile.safetensors"
    profile(np.ones((2, 3))).save(path)
    if content is None:
        path.unlink()
        with pytest.raises(MissingArtifactError, match=r"profile\.safetensors is missing: run `python src/train\.py`"):
            Profile.load(path, "m")
    else:
        path.write_bytes(content or path.read_bytes()[:50])
        with pytest.raises(DamagedArtifactError, match=r"profile\.safetensors is damaged .*python src/train\.py"):
            Profile.load(path, "m")
