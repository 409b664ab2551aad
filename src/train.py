"""Stage 4: fit each detector on normal footage.

See `python src/train.py --help`.
"""

from pixelplay.cli import main

if __name__ == "__main__":
    main("train")
