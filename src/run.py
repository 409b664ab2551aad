"""Run the whole pipeline, from a data set to a submission, its metrics and a report; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("run")
