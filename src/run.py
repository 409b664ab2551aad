"""Run the whole pipeline, from a data set to a submission, its metrics and a report.

See `python src/run.py --help`.
"""

from pixelplay.cli import main

if __name__ == "__main__":
    main("run")
