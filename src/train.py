"""Stage 4: fit each detector on normal footage; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("train")
