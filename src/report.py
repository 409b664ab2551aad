"""Stage 11: one HTML page about the run; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("report")
