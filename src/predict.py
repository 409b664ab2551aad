"""Scores, events and clips of new files by a trained run; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("predict")
