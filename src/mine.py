"""Find the unusual clips of a large collection: list clips, score them with VideoMAE, render, select; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("mine")
