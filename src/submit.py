"""Check the run's submission against the data set's sample_submission.csv; send it to Kaggle if told to; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("submit")
