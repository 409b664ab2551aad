"""Delete cached footage and other files that no run in outputs/ needs any longer; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("clean")
