"""Stage 3: follow the detected objects through time, if a detector of the run needs that; cached; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("extract")
