"""The progress bar of long work: rate and time left, redrawn seldom where nobody watches, as in log files."""

import sys

from tqdm import tqdm


def progress_bar(total: int, unit: str, description: str) -> tqdm:
    """A tqdm bar over `total` units of work, called `unit` in the singular."""
    seldom = 0.1 if sys.stderr.isatty() else 10  # seconds
    return tqdm(total=total, unit=unit, desc=description, mininterval=seldom, disable=total == 0)
