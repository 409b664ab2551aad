"""One setting of a detector varied: a run for each value, and a table and a picture of them all; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("sweep")
