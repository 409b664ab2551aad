"""`pixelplay validate`: checks a submission file against a sample submission or the index of a run."""

import argparse
from pathlib import Path

from pixelplay.command_line import as_started, program
from pixelplay.commands import COMMANDS
from pixelplay.console import wrapped
from pixelplay.scores.submission import expected_ids_from_sample, submission_id, validate


def main(arguments: list[str]) -> int:
    """Print a line per problem; returns the exit status: 0 if there is none, else 1."""
    parser = argparse.ArgumentParser(
        program("validate"),
        description=wrapped(as_started(COMMANDS["validate"].help)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("submission", type=Path, help="the CSV to check: header Id,Predicted, one row per test frame")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--sample", type=Path, metavar="CSV", help="a sample_submission.csv: the ids in their order")
    wanted.add_argument(
        "--run", type=Path, metavar="FOLDER", help="the outputs of a run, whose index.json lists the test frames"
    )
    options = parser.parse_args(arguments)
    if options.sample:
        expected = expected_ids_from_sample(options.sample)
    else:
        from pixelplay.videos.index import Index

        index = Index.load(options.run / "index.json")
        expected = [submission_id(video.id, int(number)) for video in index.test for number in video.numbers]
    problems = validate(options.submission, expected)
    for problem in problems:
        print(wrapped(f"{options.submission}: {problem}"))
    if not problems:
        print(f"valid: {len(expected)} rows")
    return 1 if problems else 0
