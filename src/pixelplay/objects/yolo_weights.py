"""YOLO's pretrained weights: a file on disk, or one that Ultralytics publishes, downloaded once.

pooch is imported only to reach the network: importing it takes a moment, and most commands need no weights.
"""

import logging
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixelplay.errors import WeightsError
from pixelplay.run.atomic import atomic

log = logging.getLogger(__name__)

RELEASE = "https://github.com/ultralytics/assets/releases/download/v8.4.0"  # where Ultralytics itself gets them
PUBLISHED = re.compile(r"yolo[\w-]*\.pt")  # names of files there
SHA256 = {  # of those whose checksum is known
    "yolov8n.pt": "f59b3d833e2ff32e194b5bb8e08d211dc7c5bdf144b90d2c8412c47ccfc83b36",
    "yolov8s.pt": "1f47a78bf100391c2a140b7ac73a1caae18c32779be7d310658112f7ac9aa78a",
}
TIMEOUT = 20  # seconds without an answer


def at_hand(name: str, folder: Path) -> Path | None:
    """The file of the weights `name`: that path, or that name in `folder`; None where there is neither."""
    return next((path for path in (Path(name).expanduser(), folder / name) if path.is_file()), None)


def check_weights(name: str, folder: Path, download: bool) -> None:
    """Raise WeightsError, which says what to do, if the weights are neither on disk nor downloadable.

    Asks the server whether it has the file, without downloading it; `download` says whether that is allowed.
    """
    if at_hand(name, folder) is None:
        with _published(name, folder, download) as url:
            from pooch import HTTPDownloader

            if not HTTPDownloader(timeout=TIMEOUT)(url, None, None, check_only=True):
                raise OSError("the server has no such file")


def get_weights(name: str, folder: Path, download: bool) -> Path:
    """The file of the weights, downloaded to `folder` if need be; raises as `check_weights` does."""
    path = at_hand(name, folder)
    if path is not None:
        return path
    path = folder / name
    with _published(name, folder, download) as url, atomic(path) as temporary:
        from pooch import HTTPDownloader
        from pooch.hashes import hash_matches

        log.info(f"weights: downloading {url} to {folder}/")
        HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=TIMEOUT)(url, str(temporary), None)
        hash_matches(temporary, SHA256.get(name), strict=True, source=name)
    return path


@contextmanager
def _published(name: str, folder: Path, download: bool) -> Iterator[str]:
    """The address of published weights; what goes wrong with it becomes a WeightsError."""
    if Path(name).name != name:
        raise not_found(name, folder)
    if not download:
        raise not_found(name, folder, ", and weights.source=in_domain downloads nothing: weights.source=hub does")
    url = f"{RELEASE}/{name}"
    try:
        yield url
    except (OSError, ValueError, ImportError) as error:  # of requests, a wrong checksum, no pooch
        raise not_found(name, folder, f", and {url} can't be downloaded: {error}") from None


def not_found(name: str, folder: Path, reason: str = "") -> WeightsError:
    """The error for weights that are not on disk, with the command that puts them where the run looks for them."""
    by_name = Path(name).name == name
    wanted = folder / name if by_name else Path(name)
    where = f"not in {folder}/{reason}" if by_name else "no such file"
    found = f"weights.yolo={name}: YOLO weights not found ({where})\n"
    if PUBLISHED.fullmatch(wanted.name):
        url = f"{RELEASE}/{wanted.name}"
        found += f"  where there is internet:  curl -fL --create-dirs -o {shlex.quote(str(wanted))} {url}\n"
        found += "  then:                     the same command"
    else:
        found += "  name an existing file, weights.yolo=FILE, or one that Ultralytics publishes, such as yolov8n.pt"
    return WeightsError(found + "; weights.yolo=motion needs no weights")
