"""What commands print: broken lines, colour, bars, and whose messages."""

import io
import logging
import subprocess

import pytest

from pixelplay.console import Console, command, heading, styled, wrapped
from pixelplay.progress import ProgressLines, duration, progress_bar, time_left


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def printed(stream: io.StringIO, name: str, level: int, message: str) -> str:
    handler, log = Console(stream, lambda text: text.replace("python src/run.py", "./run_all.sh")), logging.Logger(name)
    log.addHandler(handler)
    log.log(level, message)
    return stream.getvalue()


def test_a_long_line_is_broken_at_spaces_and_continued_further_right():
    text = wrapped("  " + "word " * 40)
    first, second = text.splitlines()
    assert first == "  " + " ".join(["word"] * 23)  # 2 + 23 * 5 - 1 = 116; another word would end at 121
    assert second == "    " + " ".join(["word"] * 17)


def test_lines_of_120_characters_and_longer_paths_stay_whole():
    assert wrapped("x" * 120 + "\n\nshort") == "x" * 120 + "\n\nshort"
    path = "/".join(["folder"] * 30)
    assert wrapped(f"submission: {path} is valid").splitlines() == ["submission:", f"  {path}", "  is valid"]


def test_columns_of_a_table_that_fits_are_kept():
    assert wrapped("a    b\n1    2") == "a    b\n1    2"


def test_a_long_command_can_be_pasted_into_a_shell():
    words = ["printf '%s\\n'", *(f"key{i}=value" for i in range(10)), "'dataset.root=my videos'"]
    lines = command(words).splitlines()
    assert len(lines) == 2 and lines[0].endswith(" \\") and max(map(len, lines)) <= 120
    printed = subprocess.run(["sh", "-c", command(words)], capture_output=True, text=True).stdout
    assert printed.splitlines() == [*(f"key{i}=value" for i in range(10)), "dataset.root=my videos"]


def test_colour_is_for_terminals_that_show_it(monkeypatch: pytest.MonkeyPatch):
    assert styled("error:", "error", Terminal()) == "\x1b[31merror:\x1b[0m"
    assert styled("error:", "error", io.StringIO()) == "error:"
    monkeypatch.setenv("TERM", "dumb")
    assert styled("error:", "error", Terminal()) == "error:"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("error:", "error", Terminal()) == "error:"


def test_libraries_are_heard_only_when_they_warn():
    assert printed(io.StringIO(), "faiss.loader", logging.INFO, "Loading faiss") == ""
    assert printed(io.StringIO(), "faiss.loader", logging.WARNING, "not loaded") == "not loaded\n"
    assert printed(io.StringIO(), "pixelplay.run", logging.INFO, "again: python src/run.py") == "again: ./run_all.sh\n"


def test_headings_are_bold_and_warnings_yellow_on_a_terminal_alone():
    for stream, expected in ((Terminal(), "\x1b[1m[1/2] prepare\x1b[0m\n"), (io.StringIO(), "[1/2] prepare\n")):
        log = logging.Logger("pixelplay.pipeline")
        log.addHandler(Console(stream, str))
        heading(log, "[1/2] prepare")
        assert stream.getvalue() == expected
    assert printed(Terminal(), "pixelplay", logging.WARNING, "left out") == "\x1b[33mleft out\x1b[0m\n"


def test_without_a_terminal_progress_is_a_line_every_30_seconds(capsys: pytest.CaptureFixture):
    """300 frames, one a second: 30 are done after 30 s, so 270 s are left."""
    now = [0.0]
    with ProgressLines(300, "frame", "decoding", clock=lambda: now[0]) as progress:
        for second in range(1, 301):
            now[0] = second
            progress.update()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 9  # the end is not told
    assert lines[0] == "decoding: 30 of 300 frames, about 4 min left"
    assert lines[-1] == "decoding: 270 of 300 frames, less than a minute left"


def test_quick_work_without_a_terminal_prints_nothing(capsys: pytest.CaptureFixture):
    with progress_bar(3, "clip", "score") as progress:
        for _ in range(3):
            progress.update()
    assert capsys.readouterr() == ("", "")


def test_times_are_told_in_the_unit_that_suits():
    assert [duration(seconds) for seconds in (8, 180, 5399, 9000)] == ["8 s", "3 min", "90 min", "2.5 h"]
    assert [time_left(seconds) for seconds in (59, 100)] == ["less than a minute left", "about 2 min left"]
