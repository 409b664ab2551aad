"""List runs and the variants of their fusions, with what differs and their figures; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("runs")
