"""Stage 1: list a data set's videos, decode every frame once, hold out normal footage; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("prepare")
