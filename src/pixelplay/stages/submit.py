"""Checks a run's submission once more, and hands it to Kaggle's own command when `submit.send` says so, never else."""

import logging
import os
import shutil
import subprocess
from pathlib import Path

from pixelplay.config import Config
from pixelplay.errors import ConfigError, DataError, PixelPlayError
from pixelplay.evaluation.members import submitted_frames
from pixelplay.run.files import RunFiles
from pixelplay.scores.submission import expected_ids_from_sample, submission_id, validate
from pixelplay.stages import fuse
from pixelplay.videos.index import load_index
from pixelplay.videos.layouts import find_root

log = logging.getLogger(__name__)

SAMPLE = "sample_submission.csv"
CREDENTIALS = ("kaggle.json", "access_token", "credentials.json")  # what Kaggle's command reads; any one will do
CONFIRMED = "successfully submitted"  # what Kaggle answers; its command ends with status 0 even where it could not


def run(config: Config) -> None:
    files = RunFiles.of(config)
    index = load_index(config)
    *_, task = fuse.tasks(config)
    task.verified()
    sample = config.submit.sample or _sample(config)
    expected = expected_ids_from_sample(sample) if sample else [submission_id(*key) for key in submitted_frames(index)]
    problems = validate(files.submission, expected)
    if problems:
        raise DataError("\n".join(f"{files.submission}: {problem}" for problem in problems))
    log.info(f"submit: {files.submission} is valid: {len(expected):,} rows, as {sample or files.index} wants them")
    if config.submit.send:
        _send(config, files.submission, config.submit.message or f"{config.full_name} {task.require().key}")
    else:
        log.info("submit: not sent; submit.send=true sends it to Kaggle")


def _send(config: Config, submission: Path, message: str) -> None:
    """Run `kaggle competitions submit`; raises PixelPlayError with its own words unless Kaggle confirms."""
    competition = config.submit.competition
    if competition is None:
        raise ConfigError(
            "submit.competition: which one? set submit.competition=NAME, as in kaggle.com/competitions/NAME"
        )
    command = shutil.which("kaggle")
    if command is None:
        raise PixelPlayError("Kaggle's command is not installed: pip install kaggle, or upload the file on kaggle.com")
    _require_credentials()
    arguments = ["competitions", "submit", "-c", competition, "-f", str(submission.resolve()), "-m", message]
    done = subprocess.run(
        [command, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    said = "\n".join(text.strip() for text in (done.stdout, done.stderr) if text.strip())
    if done.returncode or CONFIRMED not in said.casefold():
        raise PixelPlayError(
            f"{submission} was not accepted by {competition} (kaggle ended with status {done.returncode}):\n"
            f"{said or 'it said nothing'}"
        )
    log.info(f"submit: sent {submission} to {competition}: {message}\n{said}")


def _require_credentials() -> None:
    """Raise PixelPlayError where Kaggle's command could not log in; the credentials themselves are left to it."""
    named = [os.environ.get("KAGGLE_CONFIG_DIR"), os.environ.get("XDG_CONFIG_HOME", "~/.config") + "/kaggle"]
    folders = [Path(folder).expanduser() for folder in (*named, "~/.kaggle") if folder]
    in_environment = os.environ.get("KAGGLE_API_TOKEN") or (
        os.environ.get("KAGGLE_USERNAME") and os.environ.get("KAGGLE_KEY")
    )
    if not in_environment and not any((folder / name).is_file() for folder in folders for name in CREDENTIALS):
        raise PixelPlayError(
            "no Kaggle credentials: put the kaggle.json of kaggle.com/settings/api into ~/.kaggle/, or set "
            "KAGGLE_USERNAME and KAGGLE_KEY"
        )


def _sample(config: Config) -> Path | None:
    """The data set's sample submission: in the folder of its videos, or above it up to the top of the data set.

    The top is the folder that was named, or one above it that is called like the competition, as Kaggle mounts it.
    """
    dataset = config.dataset
    found = find_root(dataset)
    named = {folder.expanduser() for folder in ([dataset.root] if dataset.root else map(Path, dataset.candidates))}
    folders = [found, *found.parents]
    tops = [i for i, folder in enumerate(folders) if folder in named or folder.name == config.submit.competition]
    samples = (folder / SAMPLE for folder in folders[: max(tops, default=0) + 1])
    return next((sample for sample in samples if sample.is_file()), None)
