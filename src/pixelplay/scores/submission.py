"""The competition's CSV: header `Id,Predicted`, one row per test frame, ids like `1_939`, in the data set's order.

`build` and `to_csv_text` make it from fused scores; `validate` says in plain words what is wrong with any CSV; `read`
takes one back as a scores table.
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from pixelplay.errors import DataError
from pixelplay.scores.submission_file import EXAMPLES, HEADER, Line, at_lines, finite, rows_of


def submission_id(video: str, frame: int) -> str:
    """`<video>_<frame>`: ("01", 939) gives `1_939`.

    Leading zeros go from a purely numeric video name only; `Train_007` stays as it is.
    """
    return f"{_unpadded(video)}_{int(frame)}"


def check_names(videos: Iterable[str], test_videos: Iterable[str]) -> None:
    """Raise DataError for names that no table can hold, and for two test videos with the same ids (`1` and `01`)."""
    for video in videos:
        if any("\ud800" <= c <= "\udfff" for c in video):  # bytes of a file name that are not UTF-8
            raise DataError(f"video {video!r}: its name is not UTF-8; rename it")
    _unique_ids([(video, 0) for video in test_videos])


def build(scores: pd.DataFrame, expected: list[tuple[str, int]]) -> pd.DataFrame:
    """Table `Id` (str), `Predicted` (float64) with one row for each of `expected`, in that order.

    `scores`: columns `video, frame, score`, the rows of one stream, in any order. `expected`: the data set's test
    frames as (video, frame number). Raises DataError when a frame has no score or several, a score is of no expected
    frame or is not finite, or two videos give the same id (`1` and `01`).
    """
    ids = _unique_ids(expected)
    found = pd.MultiIndex.from_frame(scores[["video", "frame"]])
    if found.has_duplicates:
        raise DataError(
            f"(video, frame) {found[found.duplicated()][0]} has more than one score; a submission takes the rows of "
            "one stream, for instance 'fused'"
        )
    wanted = pd.MultiIndex.from_tuples(expected, names=["video", "frame"])
    positions = found.get_indexer(wanted)  # (N,) row of each expected frame, -1 where there is none
    _refuse(wanted[positions < 0], "test frames have no score")
    _refuse(found[~found.isin(wanted)], "scores are of no test frame")
    predicted = scores["score"].to_numpy(dtype=np.float64)[positions]
    _refuse(wanted[~np.isfinite(predicted)], "scores are not finite")
    return pd.DataFrame({"Id": ids, "Predicted": predicted})


def to_csv_text(frame: pd.DataFrame) -> str:
    """The CSV of a table that `build` made: same table, same bytes; each number reads back as the very same float64."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows((name, repr(float(value))) for name, value in zip(frame["Id"], frame["Predicted"], strict=True))
    return text.getvalue()


def expected_ids_from_sample(path: Path | str) -> list[str]:
    """Ids of a `sample_submission.csv`, in its order. Raises DataError when it can't be read, or an id comes twice."""
    lines, problems = rows_of(Path(path))
    ids = [line.id for line in lines]
    if problems or not ids:
        raise DataError(f"{path} can't serve as a sample submission: {'; '.join(problems) or 'it has no rows'}")
    _refuse_duplicates(ids, f"{path}")
    return ids


def validate(path: Path | str, expected_ids: list[str]) -> list[str]:
    """What is wrong with the CSV at `path`, in plain words; an empty list when it is a valid submission.

    Reads text only and changes nothing. Raises DataError when `expected_ids` themselves have an id twice.
    """
    _refuse_duplicates(expected_ids, "expected_ids")
    lines, problems = rows_of(Path(path))
    if not lines and problems:
        return problems
    return [*problems, *_id_problems(lines, expected_ids), *_value_problems(lines)]


def read(path: Path | str, expected: list[tuple[str, int]], stream: str) -> pd.DataFrame:
    """The scores table of a submission, its rows called `stream`, of split=test and in the order of `expected`.

    `expected`: the data set's test frames as (video, frame number). The CSV may have its rows in any order, as Kaggle
    takes them. Raises DataError with all that is wrong with it: ids that are missing, unknown, repeated or malformed,
    and values that are no finite numbers.
    """
    ids = _unique_ids(expected)
    lines, problems = rows_of(Path(path))
    if lines or not problems:
        problems += [*_membership_problems(lines, ids), *_value_problems(lines)]
    if problems:
        raise DataError(f"{path} does not fit the {len(ids):,} test frames: {'; '.join(problems)}")
    values = {line.id: finite(line.value) for line in lines}
    table = pd.DataFrame(expected, columns=["video", "frame"])
    return table.assign(split="test", stream=stream, score=[values[name] for name in ids])


def _unpadded(digits: str) -> str:
    return (digits.lstrip("0") or "0") if digits.isascii() and digits.isdigit() else digits


def _unique_ids(expected: list[tuple[str, int]]) -> list[str]:
    if not expected:
        raise DataError("there are no test frames to submit")
    owner: dict[str, tuple[str, int]] = {}
    for video, frame in expected:
        other = owner.setdefault(submission_id(video, frame), (video, frame))
        if other[0] != video:
            raise DataError(
                f"test videos {other[0]!r} and {video!r} give the same id {submission_id(video, frame)}; rename one"
            )
    if len(owner) != len(expected):
        _refuse_duplicates([submission_id(*key) for key in expected], "the data set's test frames")
    return list(owner)


def _refuse(rows: pd.MultiIndex, what: str) -> None:
    if len(rows):
        examples = ", ".join(f"video {video!r} frame {frame}" for video, frame in rows[:EXAMPLES])
        raise DataError(f"{len(rows)} {what}, for instance {examples}")


def _refuse_duplicates(ids: list[str], where: str) -> None:
    twice = _repeated(ids)
    if twice:
        raise DataError(f"{where}: {_some(len(twice), twice, 'id')} more than once")


def _id_problems(lines: list[Line], expected_ids: list[str]) -> list[str]:
    """Malformed, duplicate, extra and missing ids, and an order that is not the expected one."""
    return [*_membership_problems(lines, expected_ids), *_order_problems(lines, expected_ids)]


def _membership_problems(lines: list[Line], expected_ids: list[str]) -> list[str]:
    """Malformed, duplicate, extra and missing ids."""
    meant = _meant(lines, expected_ids)
    malformed = [found for found, right in meant.items() if right != found]
    known = set(expected_ids)
    problems = []
    if malformed:
        example = malformed[0]
        problems.append(
            f"{_some(len(malformed), malformed, 'id')} in the wrong form: {_shown(example)} must be {meant[example]}"
        )
    ids = [meant[line.id] for line in lines]
    present = set(ids)
    groups = {
        "more than once": _repeated(ids),
        "not expected": [name for name in dict.fromkeys(ids) if name not in known],
        "missing": [name for name in expected_ids if name not in present],
    }
    return problems + [f"{_some(len(names), names, 'id')} {what}" for what, names in groups.items() if names]


def _meant(lines: list[Line], expected_ids: list[str]) -> dict[str, str]:
    """For each id as it was found, the expected one that it is, if perhaps in the wrong form; else itself."""
    known = set(expected_ids)
    right = {line.id: line.id if line.id in known else _canonical(line.id) for line in lines}
    return {found: name if name in known else found for found, name in right.items()}


def _order_problems(lines: list[Line], expected_ids: list[str]) -> list[str]:
    """Whether the rows that are both found and expected, each at its first place, stand in the expected order."""
    meant = _meant(lines, expected_ids)
    ids = [meant[line.id] for line in lines]
    present = set(ids)
    wanted = [name for name in expected_ids if name in present]
    known = set(wanted)
    first_lines: dict[str, int] = {}  # in the file's order
    for line, name in zip(lines, ids, strict=True):
        if name in known:
            first_lines.setdefault(name, line.number)
    for (name, number), right in zip(first_lines.items(), wanted, strict=True):
        if name != right:
            return [f"the order of rows is not the expected one, first at line {number}: {name} instead of {right}"]
    return []


def _value_problems(lines: list[Line]) -> list[str]:
    groups: dict[str, list[int]] = {}
    for line in lines:
        try:
            finite(line.value)
        except ValueError as problem:
            groups.setdefault(str(problem), []).append(line.number)
    return [f"{at_lines(numbers)}: {problem}" for problem, numbers in groups.items()]


def _canonical(found: str) -> str:
    """The id that `found` would be without padding zeros and blanks: `01_0939` gives `1_939`."""
    video, _, frame = found.strip().rpartition("_")
    return f"{_unpadded(video)}_{_unpadded(frame)}"


def _repeated(ids: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    return list(dict.fromkeys(name for name in ids if name in seen or seen.add(name)))


def _some(count: int, names: list[str], what: str) -> str:
    examples = ", ".join(map(_shown, names[:EXAMPLES]))
    return f"{count} {what}{'s' if count > 1 else ''} ({examples}{', ...' if count > EXAMPLES else ''})"


def _shown(name: str) -> str:
    """The beginning of a name, without what a terminal would take for a command."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name[:80])
