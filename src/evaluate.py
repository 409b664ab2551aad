"""Stage 8: metrics of frames, pixels, regions and tracks, if the data set has labels; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("evaluate")
