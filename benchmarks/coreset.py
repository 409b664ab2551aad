"""Exact greedy k-center: ours against the naive NumPy loop and anomalib's KCenterGreedy, and a million vectors alone.

On 1,000 Gaussian clusters in 128 dimensions. anomalib's random projection is switched off, so that all three select in
the same space from the same first vector. It is a benchmark's peer and no requirement of the project:
`pip install --no-deps anomalib==2.7.0` is enough, since of it only the module with KCenterGreedy is loaded.
`python -c "from benchmarks.coreset import main; main(scale=0.05)"` tries it out on less, and records nothing.
"""

import importlib.util
import resource
import sys
import types
from importlib.metadata import version
from pathlib import Path

import faiss
import numpy as np
import torch

from benchmarks.results import medians, record
from pixelplay.memory.coreset import greedy_k_center

CLUSTERS, DIMENSIONS, SPREAD = 1000, 128, 10.0  # standard deviation of the clusters' centres, in that of a cluster
COMPARED, ALONE = (200_000, 2_000), (1_000_000, 10_000)  # vectors, coreset
REPEATS = 3


def gaussian_clusters(count: int, seed: int = 0) -> np.ndarray:
    """float32 (count, DIMENSIONS)."""
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((CLUSTERS, DIMENSIONS), np.float32) * np.float32(SPREAD)
    vectors = rng.standard_normal((count, DIMENSIONS), np.float32)
    for start in range(0, count, 10_000):  # in parts: what this takes at its most hides as much of the selection
        part = vectors[start : start + 10_000]
        part += centers[rng.integers(CLUSTERS, size=len(part))]
    return vectors


def naive(vectors: np.ndarray, count: int, first: int) -> np.ndarray:
    """The definition, int64 (count,): float32, minimum distance to the chosen, argmax, ties to the lowest index."""
    chosen = [first]
    nearest = np.square(vectors - vectors[first]).sum(axis=1)
    for _ in range(count - 1):
        chosen.append(int(nearest.argmax()))
        np.minimum(nearest, np.square(vectors - vectors[chosen[-1]]).sum(axis=1), out=nearest)
    return np.array(chosen)


def anomalib_selection(vectors: np.ndarray, count: int, first: int) -> np.ndarray:
    selection = _anomalib()(torch.from_numpy(vectors)[:, None], (count + 0.5) / len(vectors))  # int() of it is count
    draw = torch.randint
    torch.randint = lambda **_: torch.tensor([first])  # where it draws the first vector
    try:
        return np.array(selection.select_coreset_idxs())  # a third axis keeps it from projecting
    finally:
        torch.randint = draw


def _anomalib() -> type:
    """Its class KCenterGreedy, from its file alone: the package around it imports much that has no part in this."""
    package = importlib.util.find_spec("anomalib")
    assert package is not None and package.origin is not None
    projection = types.ModuleType("anomalib.models.components.dimensionality_reduction")
    projection.SparseRandomProjection = lambda eps: None  # type: ignore[attr-defined]
    sys.modules[projection.__name__] = projection
    path = Path(package.origin).parent / "models/components/sampling/k_center_greedy.py"
    spec = importlib.util.spec_from_file_location("anomalib_k_center_greedy", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.tqdm = lambda steps, **_: steps  # no bar
    return module.KCenterGreedy


def covering_radius(vectors: np.ndarray, chosen: np.ndarray) -> float:
    """Largest distance of a vector to its nearest chosen one."""
    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(vectors[chosen])
    return float(np.sqrt(index.search(vectors, 1)[0].max()))


def compare(count: int, size: int) -> list[list[str]]:
    """A table row for each of the three, on the same vectors."""
    vectors, chosen = gaussian_clusters(count), {}
    peers = {"NumPy, naive": naive}
    if importlib.util.find_spec("anomalib") is None:
        print("anomalib is not installed, its row is left out: pip install --no-deps anomalib==2.7.0")
    else:
        peers[f"anomalib {version('anomalib')} KCenterGreedy"] = anomalib_selection
    ours = {"ours": lambda *arguments: greedy_k_center(*arguments, threads=0).indices}

    def contender(name: str, select) -> None:
        chosen[name] = select(vectors, size, 0)

    def timed(contenders: dict, repeats: int) -> dict[str, float]:
        runs = {name: lambda name=name, select=select: contender(name, select) for name, select in contenders.items()}
        return medians(runs, repeats)

    times = timed(peers, 1) | timed(ours, REPEATS)  # a peer takes minutes
    return [
        [
            f"{count:,} vectors, {size:,} chosen: {name}",
            f"{seconds:.2f}",
            f"{seconds / times['ours']:.1f}x ours",
            f"{covering_radius(vectors, chosen[name]):.4f}",
            f"{np.mean(chosen[name] == chosen['NumPy, naive']):.2%}",
            "-",
        ]
        for name, seconds in times.items()
    ]


def alone(count: int, size: int, vectors: np.ndarray | None = None) -> list[str]:
    """A table row for ours, with the memory that the selection took beyond the vectors, as a share of theirs."""
    vectors = gaussian_clusters(count) if vectors is None else vectors
    radius = 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def select() -> None:
        nonlocal radius
        radius = greedy_k_center(vectors, size, 0, threads=0).radius

    seconds = medians({"ours": select}, REPEATS)["ours"]
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / vectors.nbytes
    label = f"{count:,} vectors, {size:,} chosen: ours"
    return [label, f"{seconds:.2f}", "-", f"{radius:.4f}", "-", f"{1 + extra:.2f}x"]


def main(scale: float = 1.0) -> None:
    million = alone(*(int(scale * n) for n in ALONE))  # first: the memory is the most that the process ever had
    rows = [*compare(*(int(scale * n) for n in COMPARED)), million]
    record(
        "coreset",
        ["", "seconds", "", "covering radius", "the naive loop's centres, index for index", "peak memory / vectors"],
        rows,
        ["numpy", "torch"],
        f"{CLUSTERS:,} Gaussian clusters in {DIMENSIONS} dimensions, their centres {SPREAD:g} times as spread as they "
        f"are; the same first vector; ours the median of {REPEATS}, the others once.",
        kept=scale == 1,
    )
