"""Raw scores of tracked objects: how wrong the network is about their erased moment and its motion."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from pixelplay.detectors.object_streams.completion.cubes import Cubes
from pixelplay.detectors.object_streams.completion.network import CompletionNet

STREAMS = ("appearance", "motion")


@torch.inference_mode()
def raw_scores(
    network: CompletionNet, cubes: Iterable[Cubes], count: int, erased: Sequence[int], batch_size: int | None
) -> dict[str, np.ndarray]:
    """A score of each stream for each of `count` rows of tracks, float64 (count,): means over the erased steps; NaN
    for rows that no cube is of. batch_size: cubes; None: those of a frame, so that a stream rounds alike.
    """
    found, device = np.full((len(STREAMS), count), np.nan), network.mean.device
    for batch, real in full_batches(cubes, batch_size) if batch_size else ((one, len(one)) for one in cubes):
        patches, flow = (torch.from_numpy(values).to(device) for values in (batch.patches, batch.flow))
        steps = (torch.full((len(batch),), step, device=device) for step in erased)
        errors = torch.stack([torch.stack(network.errors(patches, flow, step)) for step in steps]).mean(dim=0)
        found[:, batch.rows[:real]] = errors[:, :real].cpu().double().numpy()
    return dict(zip(STREAMS, found, strict=True))


def full_batches(parts: Iterable[Cubes], size: int) -> Iterator[tuple[Cubes, int]]:
    """Batches of exactly `size` cubes, the last filled up with copies, and how many are none.

    Rounding depends on the shape of a batch; so it does not depend on how many cubes follow.
    """
    waiting: list[Cubes] = []
    for part in parts:
        waiting.append(part)
        while sum(map(len, waiting)) >= size:
            whole = _joined(waiting)
            yield whole[:size], size
            waiting = [whole[size:]]
    if real := sum(map(len, waiting)):
        whole = _joined(waiting)
        last = Cubes(whole.rows[-1:], whole.patches[-1:], whole.flow[-1:])
        yield _joined([whole, *[last] * (size - real)]), real


def _joined(parts: Sequence[Cubes]) -> Cubes:
    columns = zip(*((part.rows, part.patches, part.flow) for part in parts), strict=True)
    return Cubes(*(np.concatenate(column) for column in columns))
