"""Stage 6: calibrate, smooth and weigh the raw scores; write the submission; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("fuse")
