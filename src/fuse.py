"""Stage 6: calibrate, smooth and weigh the raw scores; write the submission.

See `python src/fuse.py --help`.
"""

from pixelplay.cli import main

if __name__ == "__main__":
    main("fuse")
