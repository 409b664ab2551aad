"""Precision, recall and F1 of a decision that has been made."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Rates:
    """All in [0, 1]; None where there is nothing to divide by, so that no figure stands for an empty set."""

    precision: float | None  # None: nothing was reported
    recall: float | None  # None: there was nothing to find
    f1: float | None  # harmonic mean of the two; 0 where nothing right was reported, None where both are None

    def as_dict(self) -> dict[str, float | None]:
        """Field names and values, ready for JSON."""
        return asdict(self)


def rates(right: int, reported: int, found: int, present: int) -> Rates:
    """Of `reported` things `right` are right, of `present` things `found` were found: P = right / reported and so on.

    `right` and `found` are one number where reports and things are paired one to one.
    """
    precision = right / reported if reported else None
    recall = found / present if present else None
    if precision is None and recall is None:
        return Rates(None, None, None)
    both = (precision or 0.0) + (recall or 0.0)
    return Rates(precision, recall, 2 * (precision or 0.0) * (recall or 0.0) / both if both else 0.0)
