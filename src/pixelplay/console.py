"""What commands print: lines of at most 120 characters, and colour on terminals only."""

import logging
import os
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from tqdm import tqdm

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 120  # characters
STYLES = {"heading": "1", "warning": "33", "error": "31"}  # of ANSI terminals: bold, yellow, red
RESULTS = logging.getLogger("pixelplay.results")  # what a stage prints when it is typed alone, not as part of a run


def wrapped(text: str, indent: str = "  ") -> str:
    """The text with lines of more than `WIDTH` characters broken at spaces and continued further right, by `indent`.

    A path, or another word, that is longer stays whole; a command that downloads something can still be pasted.
    """
    return "\n".join(_broken(line, indent) if len(line) > WIDTH else line for line in text.split("\n"))


def _broken(line: str, indent: str) -> str:
    start = re.match(r"\s*", line)
    further = (start[0] if start else "") + indent
    end = " \\" if re.search(r"\bcurl -", line) else ""  # a command to paste into a shell
    parts = textwrap.wrap(
        line,
        WIDTH - len(end),
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
        expand_tabs=False,
        replace_whitespace=False,
    )
    return f"{end}\n".join(parts)


def aligned(table: "pd.DataFrame", index: bool = True) -> str:
    """A table in aligned columns, in as many blocks below each other as lines of `WIDTH` characters need."""
    text = table.to_string(line_width=WIDTH, index=index)
    return "\n".join(line.removesuffix("\\").rstrip() for line in text.splitlines() if line.strip())


def command(words: Sequence[str]) -> str:
    """A command of these words, quoted for a shell already, broken between them as a shell reads it."""
    line = " ".join(word.replace(" ", "\0") for word in words)
    broken = textwrap.fill(line, WIDTH - 2, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return broken.replace("\n", " \\\n").replace("\0", " ")


def styled(text: str, style: str, stream: TextIO) -> str:
    """The text in a style, one of `STYLES`, if `stream` is a terminal that shows it; see https://no-color.org."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty()
    return text if plain else f"\x1b[{STYLES[style]}m{text}\x1b[0m"


class Console(logging.StreamHandler[TextIO]):
    """Prints log messages: all of this project's, and only the warnings of libraries.

    A record's `style`, if it has one, is one of `STYLES`; progress bars make way.
    """

    def __init__(self, stream: TextIO, as_typed: Callable[[str], str]):
        """as_typed: puts the commands in a message the way that the user types them."""
        super().__init__(stream)
        self.setFormatter(logging.Formatter("%(message)s"))
        self._as_typed = as_typed
        self.addFilter(lambda record: record.name.startswith("pixelplay") or record.levelno >= logging.WARNING)

    def format(self, record: logging.LogRecord) -> str:
        style = getattr(record, "style", "warning" if record.levelno >= logging.WARNING else None)
        text = wrapped(self._as_typed(super().format(record)))
        return styled(text, style, self.stream) if style else text

    def emit(self, record: logging.LogRecord) -> None:
        with tqdm.external_write_mode(file=self.stream):
            super().emit(record)


def heading(log: logging.Logger, text: str) -> None:
    """Log a line that parts what follows from what came before."""
    log.info(text, extra={"style": "heading"})
