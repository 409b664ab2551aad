"""Stage 10: one HTML page about the run.

See `python src/report.py --help`.
"""

from pixelplay.cli import main

if __name__ == "__main__":
    main("report")
