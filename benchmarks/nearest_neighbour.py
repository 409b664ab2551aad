"""Nearest vectors of a memory bank, 3,000 x 32, for a million queries: ours (FAISS) against scikit-learn's brute force.

`python -c "from benchmarks.nearest_neighbour import main; main(scale=0.05)"` tries it out on fewer queries, and records
nothing.
"""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from benchmarks.results import medians, record
from pixelplay.memory.bank import Bank, BankConfig
from pixelplay.settings import validate

BANK, DIMENSIONS, QUERIES, REPEATS = 3_000, 32, 1_000_000, 3
SETTINGS = {
    "ivf": {"nlist": 54, "nprobe": 8},  # the square root of the bank's size; one cell in seven
    "hnsw": {"M": 32, "ef_construction": 200, "ef_search": 64},
}
OURS = {"ours, flat (exact)": "flat", "ours, ivf": "ivf", "ours, hnsw": "hnsw"}
PEER = "scikit-learn, brute force"


def main(scale: float = 1.0) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.random((BANK, DIMENSIONS), np.float32)  # no structure: the hardest case for ivf and hnsw
    queries = rng.random((int(scale * QUERIES), DIMENSIONS), np.float32)
    peer = NearestNeighbors(n_neighbors=1, algorithm="brute", n_jobs=-1).fit(vectors)
    banks = {
        name: Bank.build(vectors, validate(BankConfig, {"index": index, **SETTINGS}), {}, seed=0)
        for name, index in OURS.items()
    }
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def search_peer() -> None:
        distances, ids = peer.kneighbors(queries)
        found[PEER] = distances[:, 0], ids[:, 0]

    def search(name: str) -> None:
        found[name] = banks[name].nearest(queries)

    times = medians({PEER: search_peer, **{name: lambda name=name: search(name) for name in banks}}, REPEATS)
    rows = [
        [
            name,
            f"{seconds:.2f}",
            f"{times[PEER] / seconds:.1f}x",
            f"{np.mean(found[name][1] == found[PEER][1]):.2%}",
            f"{np.abs(found[name][0] / found[PEER][0] - 1).max():.1e}",
        ]
        for name, seconds in times.items()
    ]
    record(
        "nearest_neighbour",
        ["", "seconds", "speed-up", "same vector as the peer", "largest relative difference of the distance"],
        rows,
        ["faiss-cpu", "scikit-learn", "numpy"],
        f"Bank of {BANK:,} x {DIMENSIONS}, {len(queries):,} queries, uniformly distributed (no structure, the hardest "
        f"case for ivf and hnsw: {SETTINGS}); float32; median of {REPEATS}.",
        kept=scale == 1,
    )
