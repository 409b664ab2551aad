"""Delete cached footage and other files that no run in outputs/ needs any longer.

See `python src/clean.py --help`.
"""

from pixelplay.cli import main

if __name__ == "__main__":
    main("clean")
