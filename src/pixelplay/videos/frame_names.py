"""The order and the numbers of frames that are files, read from the files' names.

Order: natural order of the names without their suffixes, case ignored (frame_2 before frame_10). A dot between two
groups of digits is a decimal point (1305031102.9 before 1305031103.1), where
  - what follows the dot has the same number of digits in every name, and what precedes it is not always the same; or
  - the numbers of digits differ, and none of several digits ends in 0: numbers printed without trailing zeros.
Otherwise it separates two whole numbers, as in shot1.9 and shot1.10.

Number: the last group of digits, counted from the end of the name, that every name has, that is no part of a decimal
number, strictly increases in the order above, and fits into int64. So constant camera numbers and dates do not matter
(0001_0001_0000_4 and 0001_0001_0001_4 are the frames 0 and 1). If there is none (decimal seconds, clock times, several
cameras, 23 digits, no digits), frames are numbered by position from 0, with a remark. Names with digits that differ
only in leading zeros, case or suffix are one frame twice: an error.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelplay.errors import DataError

BY_POSITION = "numbered by position from 0"
LARGEST = np.iinfo(np.int64).max
# Exactly two groups of digits around one dot: 10.30 in cam_10.30.png, and nothing in 2024.01.05.png.
DECIMAL = r"(?<![\d.])\d+\.\d+(?![\d.])"


class NumberedNames(NamedTuple):
    names: tuple[str, ...]  # in order
    numbers: tuple[int, ...]  # strictly increasing
    by_position: bool  # no group of digits qualifies


def number_names(names: Sequence[str], where: Path) -> NumberedNames:
    """Order and numbers of the frames with these names; raises DataError, which names `where`, for a frame twice."""
    decimal = _has_decimals([Path(name).stem for name in names])
    keys = {name: _key(Path(name).stem, decimal) for name in names}
    ordered = sorted(names, key=lambda name: (keys[name], name))
    for before, after in pairwise(ordered):
        if keys[before] == keys[after] and _digits(keys[after]):
            raise DataError(
                f"{where}: {before} and {after} are both frame {_digits(keys[after])[-1]}; "
                "remove one of them, or number the frames apart"
            )
    groups = [_digits(keys[name]) for name in ordered]
    for place in range(1, min(map(len, groups)) + 1):
        numbers = [group[-place] for group in groups]
        whole = all(isinstance(number, int) and number <= LARGEST for number in numbers)
        if whole and all(before < after for before, after in pairwise(numbers)):
            return NumberedNames(tuple(ordered), tuple(map(int, numbers)), by_position=False)
    return NumberedNames(tuple(ordered), tuple(range(len(ordered))), by_position=True)


def _has_decimals(stems: list[str]) -> bool:
    """Whether a dot between digits is a decimal point in these names."""
    found = [number.split(".") for stem in stems for number in re.findall(DECIMAL, stem)]
    fractions = {fraction for _, fraction in found}
    if len({len(fraction) for fraction in fractions}) > 1:
        return not any(len(fraction) > 1 and fraction.endswith("0") for fraction in fractions)
    return len({whole for whole, _ in found}) > 1


def _key(stem: str, decimal: bool) -> list[str | int | Decimal]:
    """Sort key of a name: text and numbers in turn, text first."""
    parts = re.split(rf"({DECIMAL}|\d+)" if decimal else r"(\d+)", stem)
    numbers = (Decimal(part) if "." in part else int(part) for part in parts[1::2])
    return [next(numbers) if at % 2 else part.lower() for at, part in enumerate(parts)]


def _digits(key: list[str | int | Decimal]) -> list[int | Decimal]:
    return [part for part in key if not isinstance(part, str)]
