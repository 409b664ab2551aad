"""`pixelplay clean`: deletes what only grows: cached footage of no run, leftovers of killed processes, old training.

What an index or a record of a run in paths.outputs names is needed, and never deleted; neither is anything outside the
configured folders.
"""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from pixelplay.config import Config
from pixelplay.errors import PixelPlayError
from pixelplay.run.atomic import leftovers, remove
from pixelplay.run.fingerprints import KEYS, fingerprint
from pixelplay.run.locks import lock
from pixelplay.run.stage import read_record

log = logging.getLogger(__name__)

ARRAY = re.compile(r"\d+x\d+-(gray|rgb)\.npy")  # frames in a working size
PARTS = ("*.npy", "objects-*.parquet", "tracks-*.parquet", "features-*.npy", "flow-*.npy")  # of a cached video


Unneeded = tuple[Path, str]  # a file or folder, and why


def run(config: Config, dry_run: bool = False) -> None:
    """List what no run needs any longer, with sizes, and delete it unless `dry_run`.

    Raises InUseError while a run is in progress, PixelPlayError if there is no run: nothing says then what is needed.
    """
    paths = config.paths
    with ExitStack() as stack:
        for held in sorted(paths.outputs.rglob(".lock")):
            stack.enter_context(lock(held, f"the run {held.parent}/"))
        folders = [paths.outputs, paths.checkpoints, paths.cache]
        found = [(path, "left by a killed process") for folder in folders for path in leftovers(folder)]
        named = _named(paths.outputs)
        found += _old_training(paths.outputs, paths.checkpoints)
        if paths.cache.is_dir():
            if not any(paths.outputs.rglob("index.json")):
                raise PixelPlayError(
                    f"no run in {paths.outputs}/, so nothing tells which files in {paths.cache}/ are needed: set "
                    "paths.outputs=FOLDER, or delete the cache yourself"
                )
            found += _cached(paths.cache, named)
        _delete(found, folders, dry_run)


def _delete(found: list[Unneeded], folders: list[Path], dry_run: bool) -> None:
    inside = [folder.resolve() for folder in folders]
    total = 0
    for path, why in found:
        if path.is_symlink() or not any(path.resolve().is_relative_to(folder) for folder in inside):
            continue
        files = path.rglob("*") if path.is_dir() else [path]
        size = sum(file.lstat().st_size for file in files if not file.is_dir())
        total += size
        log.info(f"{size / 2**20:10,.1f} MB  {path}{'/' if path.is_dir() else ''}: {why}")
        if not dry_run:
            remove(path)
    log.info(f"{total / 2**20:10,.1f} MB  {'would be deleted (--dry-run)' if dry_run else 'deleted'}")


def _named(outputs: Path) -> set[Path]:
    """Every file and folder that an index or a record names, and the folders above them."""
    named: set[Path] = set()
    for file in [*outputs.rglob("index.json"), *outputs.rglob("stages/*.json")]:
        try:
            texts = set(_texts(json.loads(file.read_bytes())))
        except (OSError, ValueError) as error:
            raise PixelPlayError(
                f"{file} can't be read ({error}): run its stage again, or delete {file.parent}/"
            ) from None
        for path in (Path(text) for text in texts if "/" in text or "\\" in text):
            for absolute in ((Path.cwd() / path).resolve(), (outputs.resolve().parent / path).resolve()):
                named.update((absolute, *absolute.parents))
    return named


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _old_training(outputs: Path, checkpoints: Path) -> Iterator[Unneeded]:
    """Training folders that do not belong to the detector's finished training; unfinished ones are resumed."""
    for folder in checkpoints.glob(f"**/training-{KEYS}"):
        run = outputs / folder.relative_to(checkpoints).parent.parent
        record = read_record(run / "stages" / f"train-{folder.parent.name}.json")
        if record and folder.name != f"training-{fingerprint(record.version, record.settings)}":
            yield folder, "training with other settings than the trained detector's"


def _cached(cache: Path, named: set[Path]) -> Iterator[Unneeded]:
    """In `<data set>-<key>/`: `<split>/<video>/` and `pseudo-<key>/`, as a whole or in part."""
    for dataset in cache.glob(f"*-{KEYS}"):
        if dataset.resolve() not in named:
            yield dataset, "no run uses this data set"
            continue
        pseudo = [folder for folder in dataset.glob(f"pseudo-{KEYS}") if folder.resolve() not in named]
        yield from ((folder, "no run uses these pseudo-anomalies") for folder in pseudo)
        for record in sorted(dataset.rglob("decoded.json")):
            video = record.parent
            if any(folder in video.parents for folder in pseudo):
                continue
            if video.resolve() in named:
                yield from _parts(video, named)
            else:
                yield video, "no run uses this video"


def _parts(video: Path, named: set[Path]) -> Iterator[Unneeded]:
    """Frames, restored frames and boxes that no run uses, of kinds that the records name at all."""
    for restored in video.glob(f"restored-{KEYS}"):
        if restored.resolve() not in named:
            yield restored, "no run uses these restored frames"
    for pattern in PARTS:
        files = [path for path in video.glob(pattern) if pattern != "*.npy" or ARRAY.fullmatch(path.name)]
        unnamed = [path for path in files if path.resolve() not in named]
        if len(unnamed) < len(files):
            yield from ((path, "no run uses it") for path in unnamed)
