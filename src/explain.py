"""Show why a frame has its score: its objects beside the most similar training footage, as PNG.

See `python src/explain.py --help`.
"""

from pixelplay.cli import main

if __name__ == "__main__":
    main("explain")
