"""Check what a run needs before it starts: data set, weights, packages, device, disk, time; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("doctor")
