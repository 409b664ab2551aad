"""The competition's CSV: header `Id,Predicted`, one row per test frame, ids like `1_939`, in the data set's order.

`build` and `to_csv_text` make it from fused scores, `validate` lists what is wrong with one, and `read` reads one.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pixelplay.errors import DataError

HEADER = ["Id", "Predicted"]
EXAMPLES = 5  # ids or lines named in a message
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)  # float() also takes 1_000
NAN = re.compile(r"[+-]?nan|n/?a|null|none", re.IGNORECASE)
INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)


def submission_id(video: str, frame: int) -> str:
    """`<video>_<frame>`: ("01", 939) gives `1_939`. Only purely numeric names lose their leading zeros."""
    return f"{_unpadded(video)}_{int(frame)}"


def check_names(videos: Iterable[str], test_videos: Iterable[str]) -> None:
    """Raise DataError for names that no table can hold, and for two test videos with the same ids (`1` and `01`)."""
    for video in videos:
        if any("\ud800" <= c <= "\udfff" for c in video):  # bytes of a file name that are not UTF-8
            raise DataError(f"video {video!r}: its name is not UTF-8; rename it")
    _unique_ids([(video, 0) for video in test_videos])


def build(scores: pd.DataFrame, expected: list[tuple[str, int]]) -> pd.DataFrame:
    """Table `Id` (str), `Predicted` (float64) with one row for each of `expected`, in that order.

    `scores`: columns `video, frame, score`, the rows of one stream, in any order. `expected`: the test frames as
    (video, frame number). Raises DataError if these are not exactly the frames with one finite score each, or two
    videos give the same id (`1` and `01`).
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
    """The CSV of a table that `build` made; each number reads back as the very same float64."""
    return frame.astype({"Predicted": object}).to_csv(index=False, columns=HEADER, lineterminator="\n")


def expected_ids_from_sample(path: Path | str) -> list[str]:
    """Ids of a `sample_submission.csv`, in its order. Raises DataError if it is unreadable or repeats an id."""
    rows, problems = _rows(Path(path))
    if problems or rows.empty:
        raise DataError(f"{path} can't serve as a sample submission: {'; '.join(problems) or 'it has no rows'}")
    _refuse_duplicates(rows["Id"], f"{path}")
    return rows["Id"].tolist()


def validate(path: Path | str, expected_ids: list[str]) -> list[str]:
    """What is wrong with the CSV at `path`; [] for a valid one. Raises DataError if `expected_ids` repeats an id."""
    expected = pd.Series(expected_ids, dtype=object)
    _refuse_duplicates(expected, "expected_ids")
    rows, problems = _rows(Path(path))
    if rows.empty and problems:
        return problems
    ids = _meant(rows["Id"], expected)
    return [
        *problems,
        *_id_problems(rows["Id"], ids, expected),
        *_order_problems(rows, ids, expected),
        *_values(rows)[1],
    ]


def read(path: Path | str, expected: list[tuple[str, int]], stream: str) -> pd.DataFrame:
    """The scores table of a submission in any order: split `test`, rows in the order of `expected`.

    `expected`: the test frames as (video, frame number). Raises DataError with everything that is wrong.
    """
    ids = pd.Series(_unique_ids(expected), dtype=object)
    rows, problems = _rows(Path(path))
    values, bad_values = _values(rows)
    if len(rows) or not problems:
        problems += [*_id_problems(rows["Id"], _meant(rows["Id"], ids), ids), *bad_values]
    if problems:
        raise DataError(f"{path} does not fit the {len(ids):,} test frames: {'; '.join(problems)}")
    table = pd.DataFrame(expected, columns=["video", "frame"])
    return table.assign(split="test", stream=stream, score=values.set_axis(rows["Id"]).loc[ids].to_numpy())


def _unpadded(digits: str) -> str:
    return (digits.lstrip("0") or "0") if digits.isascii() and digits.isdigit() else digits


def _unique_ids(expected: list[tuple[str, int]]) -> list[str]:
    if not expected:
        raise DataError("there are no test frames to submit")
    ids = [submission_id(video, frame) for video, frame in expected]
    owner: dict[str, str] = {}
    for name, (video, _) in zip(ids, expected, strict=True):
        if (other := owner.setdefault(name, video)) != video:
            raise DataError(f"test videos {other!r} and {video!r} give the same id {name}; rename one")
    _refuse_duplicates(pd.Series(ids), "the data set's test frames")
    return ids


def _refuse(rows: pd.MultiIndex, what: str) -> None:
    if len(rows):
        examples = ", ".join(f"video {video!r} frame {frame}" for video, frame in rows[:EXAMPLES])
        raise DataError(f"{len(rows)} {what}, for instance {examples}")


def _refuse_duplicates(ids: pd.Series, where: str) -> None:
    if (twice := ids[ids.duplicated()].unique()).size:
        raise DataError(f"{where}: {_some(twice, 'id')} more than once")


def _rows(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Rows of a two-column CSV as text, `line` (the header's is 1), `Id` and `Predicted`, and what is wrong with its
    form; no rows if it can't be read at all.
    """
    rows, problem = [], None
    try:
        if path.exists() and not path.is_file():
            raise OSError("not a regular file")
        reader = csv.reader(io.StringIO(path.read_bytes().decode("utf-8"), newline=""), strict=True)
        header = next(reader, [])
        rows = [(reader.line_num, *row) for row in reader]
        if header != HEADER:
            problem = f"line 1: the header is {','.join(header)[:80]!r}; it must be {','.join(HEADER)!r}"
    except OSError as error:
        problem = f"the file can't be read: {error.strerror or error}"
    except UnicodeDecodeError as error:
        problem = f"not a text file: byte {error.start} is not UTF-8; a submission is a plain CSV, not compressed"
    except csv.Error as error:
        problem = f"not a CSV: {error}"
    sound = [row for row in rows if len(row) == 3 and not problem]
    problems = [problem] if problem else []
    if odd := [row[0] for row in rows if len(row) != 3 and not problem]:
        problems.append(f"{_at_lines(odd)}: not two fields, Id and Predicted")
    return pd.DataFrame(sound, columns=["line", *HEADER], dtype=object), problems


def _meant(found: pd.Series, expected: pd.Series) -> pd.Series:
    """Each id as expected where it is one in the wrong form (`01_0939` for `1_939`), else unchanged."""
    right = found.map(_canonical)
    return found.where(found.isin(expected) | ~right.isin(expected), right)


def _id_problems(found: pd.Series, ids: pd.Series, expected: pd.Series) -> list[str]:
    """Malformed, repeated, unknown and missing ids; `ids` as `_meant` gives them."""
    malformed = found[found != ids].drop_duplicates()
    groups = {
        "more than once": ids[ids.duplicated()].unique(),
        "not expected": ids[~ids.isin(expected)].unique(),
        "missing": expected[~expected.isin(ids)].to_numpy(),
    }
    problems = [f"{_some(names, 'id')} {what}" for what, names in groups.items() if len(names)]
    if malformed.empty:
        return problems
    example = f"{_shown(malformed.iloc[0])} must be {ids[malformed.index[0]]}"
    return [f"{_some(malformed.to_numpy(), 'id')} in the wrong form: {example}", *problems]


def _order_problems(rows: pd.DataFrame, ids: pd.Series, expected: pd.Series) -> list[str]:
    """Whether the rows that are both found and expected, each at its first place, have the expected order."""
    first = ids.isin(expected) & ~ids.duplicated()
    found, wanted = ids[first].to_numpy(), expected[expected.isin(ids)].to_numpy()
    for at in np.flatnonzero(found != wanted)[:1]:
        line = rows.loc[first, "line"].iloc[at]
        return [f"the order of rows is not the expected one, first at line {line}: {found[at]} instead of {wanted[at]}"]
    return []


def _values(rows: pd.DataFrame) -> tuple[pd.Series, list[str]]:
    """Predicted as float64, NaN for what is no number, and what is wrong with the values."""
    text = rows["Predicted"].str.strip(" \t")  # float() would strip other blanks, too
    number = text.str.fullmatch(NUMBER)
    values = text.where(number, None).astype(np.float64)
    faults = {
        "is empty": text == "",
        "is NaN": text.str.fullmatch(NAN),
        "is infinite": text.str.fullmatch(INFINITE) | np.isinf(values),
        "is not a number": ~number,
    }
    fault = pd.Series(np.select(list(faults.values()), list(faults), ""), rows.index, dtype=object)
    groups = rows["line"].groupby(fault, sort=False)
    return values, [f"{_at_lines(lines.tolist())}: Predicted {what}" for what, lines in groups if what]


def _canonical(found: str) -> str:
    """The id without padding zeros and blanks: `01_0939` gives `1_939`."""
    video, _, frame = found.strip().rpartition("_")
    return f"{_unpadded(video)}_{_unpadded(frame)}"


def _at_lines(numbers: Sequence[int]) -> str:
    """`line 3`, `2 lines (3, 7)`."""
    return f"line {numbers[0]}" if len(numbers) == 1 else _some(numbers, "line")


def _some(names: Sequence, what: str) -> str:
    examples = ", ".join(_shown(str(name)) for name in names[:EXAMPLES])
    return f"{len(names)} {what}{'s' * (len(names) > 1)} ({examples}{', ...' * (len(names) > EXAMPLES)})"


def _shown(name: str) -> str:
    """The beginning of a name, escaped so that a terminal takes nothing in it for a command."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name[:80])
