"""Stage 7: what is unusual in the test videos, since when, and which object; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("events")
