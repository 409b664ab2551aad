"""Stage 8: one HTML page about the run, and annotated MP4s of chosen test videos.

See `python src/report.py --help`.
"""

from pixelplay.cli import main

if __name__ == "__main__":
    main("report")
