"""Matplotlib figures as files."""

from pathlib import Path
from typing import TYPE_CHECKING

from pixelplay.run.atomic import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_figure(path: Path, figure: "Figure", dpi: int = 110) -> None:
    """Write a figure as a PNG or JPEG, by the file's suffix, atomically."""
    with atomic(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=dpi)
