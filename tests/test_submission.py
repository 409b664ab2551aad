"""Submission: ids and order as the data set has them, exact numbers, and a validator that names what is wrong."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pipeline import run_here

from pixelplay.errors import DataError
from pixelplay.scores.submission import build, expected_ids_from_sample, read, submission_id, to_csv_text, validate
from pixelplay.scores.table import check

IDS = ["1_939", "1_940", "2_5", "Train_007_3"]


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "submission.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problems(folder: Path, rows: list[str], header: str = "Id,Predicted") -> list[str]:
    return validate(written(folder, "\n".join([header, *rows]) + "\n"), IDS)


def good_rows() -> list[str]:
    return [f"{name},{at / 10}" for at, name in enumerate(IDS)]


@pytest.mark.parametrize(
    ("video", "frame", "expected"),
    [
        ("01", 939, "1_939"),
        ("21", 75, "21_75"),
        ("10", 0, "10_0"),
        ("000", 7, "0_7"),
        ("Train_007", 3, "Train_007_3"),
        ("01_0014", 3, "01_0014_3"),
        ("0\u0661", 3, "0\u0661_3"),  # an Arabic-Indic 1: only ASCII digits are numbers here
    ],
)
def test_only_purely_numeric_video_names_lose_their_leading_zeros(video: str, frame: int, expected: str) -> None:
    assert submission_id(video, frame) == expected


def test_build_has_exactly_the_expected_rows_in_their_order() -> None:
    scores = pd.DataFrame(
        {"video": ["02", "01", "01"], "frame": [5, 940, 939], "stream": "fused", "score": [3, 2, 1.5]}
    )
    for table in (scores, scores.astype({"video": object})):
        result = build(table, [("01", 939), ("01", 940), ("02", 5)])
        assert result["Id"].tolist() == ["1_939", "1_940", "2_5"]
        assert result["Predicted"].tolist() == [1.5, 2.0, 3.0]
        assert list(result.columns) == ["Id", "Predicted"]


@pytest.mark.parametrize(
    ("rows", "expected", "message"),
    [
        ([("01", 1, 0.5)], [("01", 1), ("01", 2)], "1 test frames have no score, for instance video '01' frame 2"),
        ([("01", 1, 0.5), ("09", 4, 0.5)], [("01", 1)], "1 scores are of no test frame.*'09' frame 4"),
        ([("01", 1, 0.5), ("01", 1, 0.6)], [("01", 1)], "more than one score"),
        ([("01", 1, np.nan)], [("01", 1)], "1 scores are not finite.*'01' frame 1"),
        ([("01", 1, 0.5), ("1", 1, 0.5)], [("01", 1), ("1", 1)], "'01' and '1' give the same id 1_1"),
        ([("01", 1, 0.5)], [("01", 1), ("01", 1)], "more than once"),
        ([("01", 1, 0.5)], [], "no test frames"),
    ],
)
def test_build_refuses(rows: list, expected: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        build(pd.DataFrame(rows, columns=["video", "frame", "score"]), expected)


def test_csv_text_is_exact() -> None:
    table = pd.DataFrame({"Id": ["1_939", "a,b_1"], "Predicted": [0.1 + 0.2, -1e-20]})
    assert to_csv_text(table) == 'Id,Predicted\n1_939,0.30000000000000004\n"a,b_1",-1e-20\n'


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(NUMBERS, min_size=1, max_size=20))
@settings(deadline=None)
def test_what_is_built_is_valid_and_reads_back_as_the_same_numbers(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    expected = [("07", frame) for frame in range(3, 3 + len(values))]
    scores = pd.DataFrame({"video": "07", "frame": range(3, 3 + len(values)), "score": values})
    path = written(tmp_path_factory.mktemp("built"), to_csv_text(build(scores, expected)))
    ids = [f"7_{frame}" for _, frame in expected]
    assert validate(path, ids) == []
    assert [float(line.split(",")[1]) for line in path.read_text().splitlines()[1:]] == values
    assert expected_ids_from_sample(path) == ids


def test_a_good_file_has_no_problems_with_either_line_end(tmp_path: Path) -> None:
    assert problems(tmp_path, good_rows()) == []
    assert validate(written(tmp_path, "\r\n".join(["Id,Predicted", *good_rows()])), IDS) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04\xff\xfe", "byte 4 is not UTF-8"),
        (b'Id,Predicted\n"1_939,0.5\n', "not a CSV"),
        (b"", "header is ''"),
        (b"Id,Score\n1_939,0.5\n", "header is 'Id,Score'; it must be 'Id,Predicted'"),
        (b"\xef\xbb\xbfId,Predicted\n", "header"),
        (b"Id,Predicted\n1_939,0.5,7\n", "line 2: not two fields"),
    ],
)
def test_a_file_of_another_form_has_one_problem(tmp_path: Path, content: bytes, message: str) -> None:
    (problem,) = validate(written(tmp_path, content), IDS)
    assert message in problem


def test_a_file_that_can_not_be_opened_is_a_problem(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        (problem,) = validate(path, IDS)
        assert problem.startswith("the file can't be read: ")


def test_missing_extra_and_duplicate_ids_are_counted_and_named(tmp_path: Path) -> None:
    rows = ["1_939,0.5", "1_940,0.5", "1_940,0.5", "9_1,0.5", "9_2,0.5"]
    assert problems(tmp_path, rows) == [
        "1 id (1_940) more than once",
        "2 ids (9_1, 9_2) not expected",
        "2 ids (2_5, Train_007_3) missing",
    ]


def test_only_the_first_few_of_many_ids_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, "Id,Predicted\n")
    assert validate(path, [f"1_{n}" for n in range(100)]) == ["100 ids (1_0, 1_1, 1_2, 1_3, 1_4, ...) missing"]


def test_ids_with_leading_zeros_are_explained_and_not_called_missing(tmp_path: Path) -> None:
    rows = ["01_0939,0.5", "1_0940,0.5", "2_5,0.5", "Train_007_3,0.5"]
    assert problems(tmp_path, rows) == ["2 ids (01_0939, 1_0940) in the wrong form: 01_0939 must be 1_939"]


def test_another_order_is_told_with_its_first_line(tmp_path: Path) -> None:
    rows = good_rows()
    assert problems(tmp_path, [rows[0], rows[2], rows[1], rows[3]]) == [
        "the order of rows is not the expected one, first at line 3: 2_5 instead of 1_940"
    ]


def test_another_order_is_told_even_when_rows_are_missing_and_extra(tmp_path: Path) -> None:
    found = problems(tmp_path, ["9_9,0.1", "2_5,0.1", "1_939,0.1"])
    assert found[-1] == "the order of rows is not the expected one, first at line 3: 2_5 instead of 1_939"
    assert len(found) == 3


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "line 3: Predicted is empty"),
        ("nan", "line 3: Predicted is NaN"),
        ("NA", "line 3: Predicted is NaN"),
        ("-inf", "line 3: Predicted is infinite"),
        ("1e999", "line 3: Predicted is infinite"),
        ("high", "line 3: Predicted is not a number"),
        ("1_0", "line 3: Predicted is not a number"),
        ("0x1", "line 3: Predicted is not a number"),
        ("\u0661", "line 3: Predicted is not a number"),
    ],
)
def test_bad_values_are_told_with_their_line(tmp_path: Path, value: str, message: str) -> None:
    rows = good_rows()
    rows[1] = f"1_940,{value}"
    assert problems(tmp_path, rows) == [message]


@pytest.mark.parametrize("value", ["1", "-1.", ".5", "+2.5e-3", "1E5", " 0.5"])
def test_any_finite_decimal_number_is_allowed(tmp_path: Path, value: str) -> None:
    rows = good_rows()
    rows[1] = f"1_940,{value}"
    assert problems(tmp_path, rows) == []


def test_several_lines_with_one_problem_are_one_entry(tmp_path: Path) -> None:
    found = problems(tmp_path, [f"{name},nan" for name in IDS])
    assert found == ["4 lines (2, 3, 4, 5): Predicted is NaN"]


def test_a_blank_line_and_a_short_row_are_told(tmp_path: Path) -> None:
    rows = good_rows()
    assert problems(tmp_path, [rows[0], "", *rows[1:]]) == ["line 3: not two fields, Id and Predicted"]


def test_expected_ids_come_from_a_sample_in_its_order(tmp_path: Path) -> None:
    path = written(tmp_path, "Id,Predicted\n2_5,0\n1_939,0\n")
    assert expected_ids_from_sample(path) == ["2_5", "1_939"]


@pytest.mark.parametrize("text", ["Id,Predicted\n", "a,b\n1,2\n", "Id,Predicted\n1_1,0\n1_1,0\n"])
def test_a_sample_that_can_not_serve_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"submission\.csv"):
        expected_ids_from_sample(written(tmp_path, text))


def test_expected_ids_that_repeat_are_the_callers_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected_ids: 1 id"):
        validate(written(tmp_path, "Id,Predicted\n"), ["1_1", "1_1"])


EXPECTED = [("01", 939), ("01", 940), ("02", 5), ("Train_007", 3)]  # IDS


def test_a_submission_is_read_as_a_scores_table_whatever_the_order_of_its_rows(tmp_path: Path) -> None:
    rows = good_rows()
    path = written(tmp_path, "\n".join(["Id,Predicted", *rows[::-1]]))
    table = read(path, EXPECTED, "old")
    check(table)
    assert list(zip(table["video"], table["frame"], strict=True)) == EXPECTED
    assert table["score"].tolist() == [0.0, 0.1, 0.2, 0.3]
    assert set(table["split"]) == {"test"} and set(table["stream"]) == {"old"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1_939,0.5"], "3 ids (1_940, 2_5, Train_007_3) missing"),
        ([*good_rows(), "9_1,1", "9_2,1"], "2 ids (9_1, 9_2) not expected"),
        ([*good_rows(), "1_939,1"], "1 id (1_939) more than once"),
        (["01_939,1", *good_rows()[1:]], "1 id (01_939) in the wrong form: 01_939 must be 1_939"),
        ([*good_rows()[:3], "Train_007_3,nan"], "line 5: Predicted is NaN"),
        ([*good_rows()[:3], "Train_007_3"], "line 5: not two fields, Id and Predicted; 1 id (Train_007_3) missing"),
        ([], "4 ids (1_939, 1_940, 2_5, Train_007_3) missing"),
    ],
)
def test_a_submission_of_other_frames_is_not_read_but_named_with_what_is_wrong(
    tmp_path: Path, rows: list[str], message: str
) -> None:
    path = written(tmp_path, "\n".join(["Id,Predicted", *rows]))
    with pytest.raises(DataError) as error:
        read(path, EXPECTED, "old")
    assert str(error.value) == f"{path} does not fit the 4 test frames: {message}"


@pytest.mark.parametrize(("content", "message"), [(b"Id,Score\n", "header"), (b"\xff", "not a text file")])
def test_a_file_of_another_form_is_not_read_and_has_one_problem(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        read(written(tmp_path, content), EXPECTED, "old")
    assert "missing" not in str(error.value)


# --- hostile files --------------------------------------------------------------------------------------------------

KEYS = [("01", 939), ("01", 940), ("02", 5), ("Train_007", 3)]  # of IDS
ODD_VALUES = ["0.5\x1e", "\x1f0.5", "0.5\u00a0", "0.5\x00", "\u06f5", "1" * 5000, "0x1p3", "1_0", "--1", "1e", "9" * 19]


@pytest.mark.parametrize("value", ODD_VALUES)
def test_what_validate_takes_read_takes_too_and_what_it_refuses_read_refuses(value: str, tmp_path: Path) -> None:
    path = written(tmp_path, "\n".join(["Id,Predicted", *good_rows()[1:], f"1_939,{value}"]) + "\n")
    found = [problem for problem in validate(path, IDS) if "order" not in problem]
    if value == "9" * 19:
        assert not found and read(path, KEYS, "old")["score"].iloc[0] == 1e19
        return
    kind = "infinite" if value == "1" * 5000 else "not a number"
    assert found == [f"line 5: Predicted is {kind}"]
    with pytest.raises(DataError, match=f"line 5: Predicted is {kind}"):
        read(path, KEYS, "old")


def test_blanks_around_a_number_are_taken_by_both(tmp_path: Path) -> None:
    path = written(tmp_path, "Id,Predicted\n" + "".join(f"{name}, {at}\t\n" for at, name in enumerate(IDS)))
    assert validate(path, IDS) == []
    assert read(path, KEYS, "old")["score"].tolist() == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("1_939," + "1" * 200_000, "not a CSV: field larger than field limit (131072)"),
        ("9" * 5000 + "_1,0.5", f"1 id ({'9' * 80}) not expected"),
        ("0" * 100_000 + "1_939,0.5", f"1 id ({'0' * 80}) in the wrong form: {'0' * 80} must be 1_939"),
        ("1_9\x1b[2J,0.5", "1 id (1_9\\x1b[2J) not expected"),  # not a command to the terminal
        ("1_\x00939,0.5", "1 id (1_\\x00939) not expected"),
    ],
)
def test_long_and_odd_fields_are_problems_in_a_line_of_words(row: str, problem: str, tmp_path: Path) -> None:
    found = problems(tmp_path, [row, *good_rows()[1:]])
    assert problem in found and all(len(line) < 300 and line.isprintable() for line in found)


def test_a_pipe_is_no_submission_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    assert validate(tmp_path / "pipe.csv", IDS) == ["the file can't be read: not a regular file"]


def test_mutated_submissions_are_valid_for_both_or_named_problems(tmp_path: Path) -> None:
    good = "\n".join(["Id,Predicted", *good_rows(), ""]).encode()
    pieces = [bytes([code]) for code in (0, 9, 10, 13, 28, 30, 32, 34, 44, 95, 0xFF)]
    pieces += [b"\xc2\xa0", b"nan", b"1e999", b"9" * 4301, b'"', b"\r\n", b"-", b"_", b"\xd9\xa1", b"x" * 140_000]
    rng, valid = np.random.default_rng(0), 0
    path = tmp_path / "mutated.csv"
    for _ in range(400):
        data = good
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(len(data) + 1))
            data = data[:at] + pieces[rng.integers(len(pieces))] + data[at + int(rng.integers(0, 3)) :]
        path.write_bytes(data)
        found = validate(path, IDS)
        assert all(isinstance(problem, str) and problem for problem in found)
        try:
            table = read(path, KEYS, "old")
        except DataError:
            assert found
        else:
            assert all(problem.startswith("the order of rows") for problem in found)
            assert np.isfinite(table["score"]).all()
            valid += 1
    assert 0 < valid < 300  # both happen


@pytest.mark.parametrize("content", [b"", b"\x00", b"Id,Predicted\n", b"Id,Predicted\n1_1,0,0\n", b"\xff", b'Id,"x'])
def test_a_sample_submission_that_is_none_ends_the_command_with_a_message(content: bytes, tmp_path: Path) -> None:
    good = written(tmp_path, "\n".join(["Id,Predicted", *good_rows()]))
    sample = tmp_path / "sample.csv"
    sample.write_bytes(content)
    done = run_here("validate.py", good, "--sample", sample, cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert " ".join(done.stderr.split()).startswith(f"error: {sample} can't serve as a sample submission: ")
