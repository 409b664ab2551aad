"""A camera, a file or a stream scored frame by frame by a trained run; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("infer")
