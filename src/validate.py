"""Says what is wrong with a submission, or that nothing is: header, ids, their order, and finite numbers.

python src/validate.py submissions/pixelplay26.csv --sample data/avenue_mini/sample_submission.csv
python src/validate.py submissions/pixelplay26.csv --run outputs/pixelplay26

One line per problem and exit status 1; `valid: N rows` and 0 when there is none.
"""

import argparse
import sys
from pathlib import Path

from pixelplay.errors import PixelPlayError
from pixelplay.scores.submission import expected_ids_from_sample, submission_id, validate


def main() -> int:
    options = _read_command_line()
    try:
        expected = expected_ids_from_sample(options.sample) if options.sample else _ids_of_run(options.run)
        problems = validate(options.submission, expected)
    except PixelPlayError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for problem in problems:
        print(f"{options.submission}: {problem}")
    if not problems:
        print(f"valid: {len(expected)} rows")
    return 1 if problems else 0


def _read_command_line() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("submission", type=Path, help="the CSV to check: header Id,Predicted, one row per test frame")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--sample", type=Path, metavar="CSV", help="a sample_submission.csv: the ids in their order")
    wanted.add_argument(
        "--run", type=Path, metavar="FOLDER", help="the outputs of a run, whose index.json lists the test frames"
    )
    return parser.parse_args()


def _ids_of_run(folder: Path) -> list[str]:
    from pixelplay.videos.index import Index  # a sample submission needs none of what this imports

    index = Index.load(folder / "index.json")
    return [submission_id(video.id, int(number)) for video in index.test for number in video.numbers]


if __name__ == "__main__":
    sys.exit(main())
