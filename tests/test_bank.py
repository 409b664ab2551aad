"""Memory banks: nearest vectors as brute force has them, round trips, refusals of other features and damaged files."""

import json
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from pixelplay.errors import ConfigError, DamagedArtifactError, DataError, MissingArtifactError
from pixelplay.memory import bank as module
from pixelplay.memory.bank import Bank, BankConfig, whitening
from pixelplay.settings import validate

FEATURES = {"backbone": "clip_rn101", "channels": 32, "stages": (2, 3)}


def config(index: str, nlist: int = 8, nprobe: int = 8) -> BankConfig:
    hnsw = {"M": 16, "ef_construction": 200, "ef_search": 200}
    return validate(BankConfig, {"index": index, "ivf": {"nlist": nlist, "nprobe": nprobe}, "hnsw": hnsw})


def vectors(count: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, d)).astype(np.float32)


def brute_force(queries: np.ndarray, bank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distances = np.sqrt(np.square(queries[:, None].astype(np.float64) - bank).sum(axis=2))
    return distances.min(axis=1), distances.argmin(axis=1)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The file of a bank of 9 vectors."""
    Bank.build(vectors(9, 4, seed=8), config("flat"), FEATURES, seed=0).save(tmp_path / "spatial.faiss")
    return tmp_path / "spatial.faiss"


def test_nearest_by_hand():
    bank = Bank.build(np.array([[0, 0], [3, 4], [10, 0]], np.float32), config("flat"), FEATURES, seed=0)
    distances, ids = bank.nearest(np.array([[0, 0], [0, 4], [6, 8], [9, 0]], np.float32))
    assert ids.tolist() == [0, 1, 1, 2] and ids.dtype == np.int64
    assert distances.tolist() == [0, 3, 5, 1] and distances.dtype == np.float32
    assert len(bank) == 3


@given(st.integers(1, 60), st.integers(1, 40), st.integers(0, 80), st.integers(0, 2**32 - 1), st.sampled_from([0, 1e4]))
def test_flat_is_brute_force_also_far_from_0(count: int, d: int, asked: int, seed: int, offset: float):
    kept, queries = vectors(count, d, seed) + np.float32(offset), vectors(asked, d, seed + 1) + np.float32(offset)
    distances, ids = Bank.build(kept, config("flat"), {}, seed=0).nearest(queries)
    if asked:
        expected, numbers = brute_force(queries, kept)
        np.testing.assert_allclose(distances, expected, rtol=1e-4, atol=1e-5)
        assert (ids == numbers).mean() > 0.9  # not where two are equally near


def test_an_offset_costs_no_precision_when_faiss_multiplies_matrices():
    kept, queries = vectors(3000, 64, seed=13) + np.float32(1e4), vectors(2000, 64, seed=14) + np.float32(1e4)
    expected = cdist(queries, kept)  # float64
    distances, ids = Bank.build(kept, config("flat"), {}, seed=0).nearest(queries)
    assert ids.tolist() == expected.argmin(axis=1).tolist()
    np.testing.assert_allclose(distances, expected.min(axis=1), rtol=1e-5)
    raw = faiss.IndexFlatL2(64)
    raw.add(kept)
    assert (raw.search(queries, 1)[1][:, 0] != ids).mean() > 0.5  # what this guards against


@pytest.mark.parametrize("index", ["flat", "ivf", "hnsw"])
def test_a_vector_of_the_bank_is_at_distance_0_from_itself(index: str):
    kept = vectors(500, 24, seed=1) + np.float32(100)
    distances, ids = Bank.build(kept, config(index), {}, seed=0).nearest(kept)
    assert ids.tolist() == list(range(500))
    assert not distances.any()


def test_all_cells_searched_is_exact_and_few_are_not():
    kept, queries = vectors(1000, 16, seed=2), vectors(300, 16, seed=3)
    expected, numbers = brute_force(queries, kept)
    distances, ids = Bank.build(kept, config("ivf", nlist=20, nprobe=20), {}, seed=0).nearest(queries)
    assert ids.tolist() == numbers.tolist()
    np.testing.assert_allclose(distances, expected, rtol=1e-5)
    few = Bank.build(kept, config("ivf", nlist=20, nprobe=1), {}, seed=0).nearest(queries)[0]
    assert (few >= distances).all() and (few > distances).any()


def test_more_queries_than_are_searched_at_a_time(monkeypatch):
    monkeypatch.setattr(module, "QUERIES", 32)
    kept, queries = vectors(50, 8, seed=4), vectors(100, 8, seed=5)
    assert Bank.build(kept, config("flat"), {}, seed=0).nearest(queries)[1].tolist() == (
        brute_force(queries, kept)[1].tolist()
    )


@pytest.mark.parametrize("index", ["flat", "ivf", "hnsw"])
def test_what_is_saved_is_loaded_and_the_same_arguments_give_the_same_bytes(index: str, tmp_path):
    kept, queries = vectors(400, 12, seed=6), vectors(90, 12, seed=7)
    for name, threads in (("a", 1), ("b", 2)):
        faiss.omp_set_num_threads(threads)
        bank = Bank.build(kept, config(index, nprobe=2), FEATURES, seed=3)
        bank.save(tmp_path / f"{name}.faiss")
        assert faiss.omp_get_max_threads() == threads
    assert (tmp_path / "a.faiss").read_bytes() == (tmp_path / "b.faiss").read_bytes()
    loaded = Bank.load(tmp_path / "a.faiss", FEATURES)
    assert loaded.config == bank.config and len(loaded) == 400
    for one, other in zip(loaded.nearest(queries), bank.nearest(queries), strict=True):
        assert (one == other).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.faiss", "a.json", "b.faiss", "b.json"]


def test_a_bank_is_built_with_one_thread_and_searched_with_all(monkeypatch):
    threads = {}
    for name in ("train", "add"):
        work = getattr(faiss.IndexPreTransform, name)

        def spy(index, x, name=name, work=work):
            threads[name] = faiss.omp_get_max_threads()
            work(index, x)

        monkeypatch.setattr(faiss.IndexPreTransform, name, spy)
    faiss.omp_set_num_threads(3)
    Bank.build(vectors(40, 4, seed=6), config("hnsw"), {}, seed=0)
    assert threads == {"train": 1, "add": 1} and faiss.omp_get_max_threads() == 3


def test_the_seed_decides_what_is_learnt(tmp_path):
    kept = vectors(400, 12, seed=6)
    for name, index in (("ivf", "ivf"), ("hnsw", "hnsw")):
        for seed in (1, 2):
            Bank.build(kept, config(index), {}, seed).save(tmp_path / f"{name}{seed}.faiss")
        assert (tmp_path / f"{name}1.faiss").read_bytes() != (tmp_path / f"{name}2.faiss").read_bytes()


def test_a_bank_of_other_features_is_refused_naming_both(saved: Path):
    with pytest.raises(DataError, match=r"spatial\.faiss holds features of .*clip_rn101.*asked for are .*resnet18"):
        Bank.load(saved, {**FEATURES, "backbone": "timm:resnet18"})
    with pytest.raises(DataError, match=r"'pool': None.*'pool': 3"):
        Bank.load(saved, {**FEATURES, "pool": 3})


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped"])
def test_a_damaged_index_is_refused_and_never_given_to_faiss(damage: str, saved: Path, monkeypatch):
    data = saved.read_bytes()
    flipped = data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]
    saved.write_bytes({"cut": data[:-1], "empty": b"", "flipped": flipped}[damage])
    monkeypatch.setattr(faiss, "deserialize_index", lambda _: pytest.fail("read all the same"))
    with pytest.raises(DamagedArtifactError, match=r"spatial\.faiss is damaged.*run `python src/train\.py`"):
        Bank.load(saved, FEATURES)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"settings": {}, "features": {}}'])
def test_a_description_that_lacks_something_is_refused(text: str, saved: Path):
    saved.with_suffix(".json").write_text(text)
    with pytest.raises(DamagedArtifactError, match=r"spatial\.json is damaged \(.*python src/train\.py"):
        Bank.load(saved, FEATURES)


def test_settings_that_were_tampered_with_are_refused(saved: Path):
    about = json.loads(saved.with_suffix(".json").read_text())
    about["settings"]["index"] = "lsh"
    saved.with_suffix(".json").write_text(json.dumps(about))
    with pytest.raises(DamagedArtifactError, match=r"spatial\.json is damaged \(settings\.index"):
        Bank.load(saved, FEATURES)


@pytest.mark.parametrize("name", ["spatial.json", "spatial.faiss"])
def test_a_missing_index_or_description_names_the_command_that_writes_it(saved: Path, name: str):
    saved.with_name(name).unlink()
    with pytest.raises(MissingArtifactError, match=rf"{name} is missing: run `python src/train\.py`"):
        Bank.load(saved, FEATURES)


def test_values_that_are_not_finite_are_refused_with_their_row():
    kept = vectors(9, 4, seed=10)
    bank = Bank.build(kept, config("flat"), {}, seed=0)
    for value in (np.nan, np.inf, 1e30):
        queries = vectors(5, 4, seed=11)
        queries[3, 1] = value
        with pytest.raises(DataError, match="query 3 of 5"):
            bank.nearest(queries)
    kept[7, 0] = np.nan
    with pytest.raises(DataError, match="vector 7 of 9"):
        Bank.build(kept, config("flat"), {}, seed=0)


def test_no_vectors_more_cells_than_vectors_and_wrong_arrays_are_refused():
    with pytest.raises(DataError, match="nothing was detected"):
        Bank.build(np.zeros((0, 4), np.float32), config("flat"), {}, seed=0)
    with pytest.raises(ConfigError, match=r"ivf\.nlist=8: the bank has 5 vectors"):
        Bank.build(vectors(5, 4, seed=12), config("ivf"), {}, seed=0)
    bank = Bank.build(vectors(5, 4, seed=12), config("flat"), {}, seed=0)
    for wrong in (np.zeros((2, 3), np.float32), np.zeros((2, 4)), np.zeros(4, np.float32)):
        with pytest.raises(ValueError, match=r"must be float32 \(n, 4\)"):
            bank.nearest(wrong)


def test_distances_to_several_by_hand_and_as_brute_force_has_them():
    bank = Bank.build(np.array([[0, 0], [3, 4], [10, 0]], np.float32), config("flat"), FEATURES, seed=0)
    asked = np.array([[0, 0], [6, 8], [10, 0]], np.float32)
    expected = [[0, 5, 10], [5, np.sqrt(80), 10], [0, np.sqrt(65), 10]]
    np.testing.assert_allclose(bank.distances(asked, 3), expected, rtol=1e-6)
    np.testing.assert_allclose(bank.distances(asked, 2), [row[:2] for row in expected], rtol=1e-6)
    kept, queries = vectors(200, 8, seed=20), vectors(40, 8, seed=21)
    for index in ("flat", "ivf"):  # all cells are searched
        found = Bank.build(kept, config(index), {}, seed=0).distances(queries, 7)
        np.testing.assert_allclose(found, np.sort(cdist(queries, kept), axis=1)[:, :7], rtol=1e-5)
        assert found.dtype == np.float32
    one = Bank.build(kept, config("flat"), {}, seed=0)
    np.testing.assert_array_equal(one.distances(queries, 1)[:, 0], one.nearest(queries)[0])


def test_several_neighbours_of_more_queries_than_are_searched_at_a_time(monkeypatch):
    kept, queries = vectors(50, 4, seed=22), vectors(23, 4, seed=23)
    bank = Bank.build(kept, config("flat"), {}, seed=0)
    whole = bank.distances(queries, 3)
    monkeypatch.setattr(module, "QUERIES", 6)  # two queries with three neighbours each
    np.testing.assert_allclose(bank.distances(queries, 3), whole, rtol=1e-6)
    assert bank.distances(queries[:0], 3).shape == (0, 3)


def test_cells_that_hold_fewer_vectors_than_neighbours_are_told():
    bank = Bank.build(vectors(40, 4, seed=24), config("ivf", nlist=20, nprobe=1), {}, seed=0)
    with pytest.raises(ConfigError, match=r"ivf\.nprobe=1: the cells searched for a query"):
        bank.distances(vectors(10, 4, seed=25), 30)


# --- vectors beside a bank --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", ["flat", "ivf", "hnsw"])
@pytest.mark.parametrize("whitened", [False, True])
def test_with_vectors_beside_it_a_bank_finds_what_one_of_both_would(index: str, whitened: bool):
    """Compared as the first part is: with its mean and its whitening."""
    kept, added, queries = vectors(300, 6, seed=1) + np.float32(50), vectors(40, 6, seed=2), vectors(200, 6, seed=3)
    added, queries = added + np.float32(51), queries + np.float32(50.5)
    matrix = whitening([kept * np.array([1, 1, 9, 1, 1, 1], np.float32)], 0.1) if whitened else None
    bank = Bank.build(kept, config(index), {}, seed=0, whitening=matrix)
    bank.put_beside(added)
    by = np.eye(6) if matrix is None else matrix.astype(np.float64)
    expected = cdist(queries @ by.T, np.concatenate([kept, added]) @ by.T)
    distances, ids = bank.nearest(queries)
    assert ids.tolist() == expected.argmin(axis=1).tolist() and 0 < (ids >= 300).mean() < 1
    np.testing.assert_allclose(distances, expected.min(axis=1), rtol=1e-4)
    np.testing.assert_allclose(bank.distances(queries, 5), np.sort(expected, axis=1)[:, :5], rtol=1e-4)
    assert len(bank) == 300


def test_a_bank_without_what_was_beside_it_is_as_it_was_built_bit_for_bit(tmp_path: Path):
    kept, queries = vectors(100, 8, seed=4), vectors(50, 8, seed=5)
    bank = Bank.build(kept, config("flat"), FEATURES, seed=0)
    before = bank.distances(queries, 3)
    bank.save(tmp_path / "a.faiss")
    bank.put_beside(queries)
    assert not bank.nearest(queries)[0].any()
    bank.save(tmp_path / "b.faiss")
    assert (tmp_path / "a.faiss").read_bytes() == (tmp_path / "b.faiss").read_bytes()
    bank.put_beside(kept[:1])  # in place of the queries
    assert bank.nearest(queries)[0].all()
    bank.put_beside(None)
    np.testing.assert_array_equal(bank.distances(queries, 3), before)


def test_vectors_beside_a_bank_are_as_long_as_its_own():
    bank = Bank.build(vectors(9, 4, seed=6), config("flat"), {}, seed=0)
    with pytest.raises(ValueError, match=r"must be float32 \(n, 4\)"):
        bank.put_beside(np.zeros((2, 5), np.float32))
