"""The fusions that are compared: each differs from another in one choice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb
from typing import Any

import numpy as np

from pixelplay.ablation.settings import AblateConfig, changed, changed_method
from pixelplay.scores.fuse import detector_of, member_of, processed_like
from pixelplay.scores.settings import FusionConfig, MemberConfig

STEPS = ("pooling", "normalise", "smooth", "method", "weights")  # see `variants_of`


@dataclass(frozen=True)
class Variant:
    """A fusion with an entry for each member, and its name in tables."""

    name: str
    fusion: FusionConfig


def variants_of(step: str, fusion: FusionConfig, streams: Sequence[str], config: AblateConfig) -> list[Variant]:
    """The variants of a fusion in one of `STEPS`; none where that leaves no choice. `streams`: those to pool by."""
    match step:
        case "pooling":
            return poolings(fusion, streams)
        case "weights":
            return weighings(fusion, config.weight_steps, config.max_points)
        case _:
            return CHANGED[step](fusion, getattr(config, step))


def named(fusion: FusionConfig, members: Sequence[str]) -> FusionConfig:
    """`fusion` with an entry for each of these members, in this order, and no others."""
    return fusion.model_copy(update={"members": {stream: member_of(stream, fusion) for stream in members}})


def alone(fusion: FusionConfig, streams: Sequence[str]) -> list[Variant]:
    """Each stream by itself, with its own processing or its detector's."""
    like = {stream: stream if stream in fusion.members else processed_like(stream, fusion) for stream in streams}
    members = {s: member_of(other, fusion).model_copy(update={"weight": 1.0}) for s, other in like.items()}
    mean = fusion.model_copy(update={"method": "weighted_mean"})
    return [Variant(stream, _with_members(mean, {stream: member})) for stream, member in members.items()]


def leave_one_out(fusion: FusionConfig) -> list[Variant]:
    """The fusion without each of the members that have a weight, if others are left."""
    members = weighing(fusion)
    return [Variant(f"without {out}", without(fusion, out)) for out in members] if len(members) > 1 else []


def weighing(fusion: FusionConfig) -> list[str]:
    """The members that have a weight."""
    return [stream for stream, member in fusion.members.items() if member.weight > 0]


def without(fusion: FusionConfig, out: str) -> FusionConfig:
    """The fusion without one of its members."""
    return _with_members(fusion, {stream: member for stream, member in fusion.members.items() if stream != out})


def poolings(fusion: FusionConfig, streams: Sequence[str]) -> list[Variant]:
    """Each member replaced by each other stream of its detector, and several at once by streams of one name."""
    found, of_all = [], {}
    for member in fusion.members:
        others = [s for s in streams if detector_of(s) == detector_of(member) and s not in fusion.members]
        for other in others:
            found.append(Variant(f"{other} for {member}", _exchanged(fusion, {member: other})))
            of_all.setdefault(other.partition("/")[2], {})[member] = other
    all_at_once = [
        Variant(f"{pooling} for {len(pairs)} members", _exchanged(fusion, pairs))
        for pooling, pairs in of_all.items()
        if len({detector_of(member) for member in pairs}) == len(pairs) > 1
    ]
    return found + all_at_once


def normalisations(fusion: FusionConfig, changes: Sequence[Mapping[str, Any]]) -> list[Variant]:
    """Every member normalised as each of `changes` says; a composite as a whole, not its parts."""
    return [
        Variant(_name(change), _with_members(fusion, _changed(fusion.members, "normalise", i, change)))
        for i, change in enumerate(changes)
    ]


def smoothings(fusion: FusionConfig, changes: Sequence[Mapping[str, Any]]) -> list[Variant]:
    """Every member smoothed as each of `changes` says; a composite in its parts, not as a whole."""
    found = []
    single = {stream: member for stream, member in fusion.members.items() if stream not in fusion.composites}
    for i, change in enumerate(changes):
        members = fusion.members | _changed(single, "smooth", i, change)
        parts = {name: _changed(one.streams, "smooth", i, change) for name, one in fusion.composites.items()}
        composites = {n: one.model_copy(update={"streams": parts[n]}) for n, one in fusion.composites.items()}
        found.append(Variant(_name(change), fusion.model_copy(update={"members": members, "composites": composites})))
    return found


def methods(fusion: FusionConfig, changes: Sequence[Mapping[str, Any]]) -> list[Variant]:
    """Members combined as each of `changes` says; none with a single member, which no method changes."""
    choices = changes if len(fusion.members) > 1 else []
    fusions = [changed_method(fusion, dict(change), f"ablate.method.{i}") for i, change in enumerate(choices)]
    return [Variant(_name(change), one) for change, one in zip(choices, fusions, strict=True)]


CHANGED = {"normalise": normalisations, "smooth": smoothings, "method": methods}  # by what a change is of


def equal_weights(fusion: FusionConfig) -> FusionConfig:
    """The same members, each with the mean of their weights."""
    return weighted(fusion, np.ones(len(fusion.members), np.int64))


def weighings(fusion: FusionConfig, steps: int, points: int) -> list[Variant]:
    """Weights on a regular grid over the simplex, and equal ones; none with a single member.

    The finest grid of at most `points`, with steps no smaller than 1 / `steps`; it always has the corners.
    """
    count = len(fusion.members)
    if count < 2:
        return []
    finest = max([1, *(n for n in range(1, steps + 1) if comb(n + count - 1, count - 1) <= points)])
    grid = [*simplex(count, finest), *([(1,) * count] if finest % count else [])]
    return [Variant(_shares(fusion, counts), weighted(fusion, np.array(counts))) for counts in grid]


def weighted(fusion: FusionConfig, counts: np.ndarray) -> FusionConfig:
    """The fusion with weights in the proportions of `counts` (M,), integers, and with the same sum.

    Weights are rounded to six decimals, as in a file.
    """
    total = sum(member.weight for member in fusion.members.values()) or float(len(counts))
    weights = [round(total * int(count) / int(counts.sum()), 6) for count in counts]
    pairs = zip(fusion.members.items(), weights, strict=True)
    return _with_members(fusion, {s: m.model_copy(update={"weight": weight}) for (s, m), weight in pairs})


def simplex(count: int, steps: int) -> Iterator[tuple[int, ...]]:
    """All ways to share `steps` among `count`, in lexicographic order: comb(steps + count - 1, count - 1) of them."""
    for bars in combinations(range(steps + count - 1), count - 1):
        ends = (-1, *bars, steps + count - 1)
        yield tuple(b - a - 1 for a, b in pairwise(ends))


def shares_of(fusion: FusionConfig) -> np.ndarray:
    """The members' weights divided by their sum, (M,)."""
    weights = np.array([member.weight for member in fusion.members.values()])
    return weights / weights.sum()


def _with_members(fusion: FusionConfig, members: Mapping[str, MemberConfig]) -> FusionConfig:
    return fusion.model_copy(update={"members": dict(members)})


def _exchanged(fusion: FusionConfig, pairs: Mapping[str, str]) -> FusionConfig:
    """The fusion with members replaced by other streams, in their places and processed like them.

    A part of a composite keeps its own smoothing, which the composite applies to it.
    """
    members = {}
    for stream, member in fusion.members.items():
        other = pairs.get(stream, stream)
        if other != stream and stream in fusion.composites:
            smooth = member_of(processed_like(other, fusion), fusion).smooth
            member = member.model_copy(update={"smooth": smooth})
        members[other] = member
    return _with_members(fusion, members)


def _changed(
    members: Mapping[str, MemberConfig], part: str, i: int, change: Mapping[str, Any]
) -> dict[str, MemberConfig]:
    """The members with the `i`-th change of their part `normalise` or `smooth`."""
    where = f"ablate.{part}.{i}"
    return {s: m.model_copy(update={part: changed(getattr(m, part), dict(change), where)}) for s, m in members.items()}


def _name(change: Mapping[str, Any]) -> str:
    """`gaussian, sigma 3` of {method: gaussian, sigma: 3.0}."""
    others = [(key, value) for key, value in change.items() if key != "method"]
    told = [f"{key} {value:g}" if isinstance(value, int | float) else f"{key} {value}" for key, value in others]
    return ", ".join([str(change["method"]), *told] if "method" in change else told)


def _shares(fusion: FusionConfig, counts: Sequence[int]) -> str:
    """`2 conv_ae + 1 st_ae`; `equal` where all are alike."""
    if len(set(counts)) == 1:
        return "equal"
    return " + ".join(f"{count} {stream}" for count, stream in zip(counts, fusion.members, strict=True) if count)
