"""Stage 2: detect objects in every frame, if a detector of the run needs them; cached per video; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("detect")
