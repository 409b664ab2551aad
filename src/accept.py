"""Events that are normal after all: accepted, listed, and taken back; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("accept")
