"""Where YOLO's pretrained weights are: a file of the user's, or downloaded once from where Ultralytics has them."""

import logging
import re
import shlex
import shutil
import urllib.request
from http.client import HTTPException
from pathlib import Path

from pixelplay.errors import WeightsError
from pixelplay.run.atomic import atomic

log = logging.getLogger(__name__)

RELEASE = "https://github.com/ultralytics/assets/releases/download/v8.4.0"  # where Ultralytics itself gets them
PUBLISHED = re.compile(r"yolo[\w-]*\.pt")  # names of files there
TIMEOUT = 20  # seconds without an answer


def at_hand(name: str, folder: Path) -> Path | None:
    """The file of the weights `name`: that path, or that name in `folder`; None where neither is there."""
    return next((path for path in (Path(name).expanduser(), folder / name) if path.is_file()), None)


def get_weights(name: str, folder: Path, download: bool) -> Path:
    """The same, downloaded to `folder` where they are not at hand; `download` says whether that is allowed.

    Raises WeightsError where they are neither on disk nor downloadable; it says what to do.
    """
    path = at_hand(name, folder)
    if path is not None:
        return path
    if Path(name).name != name:
        raise _not_found(name, "no such file", Path(name))
    if not download:
        message = f"not in {folder}/, and weights.source=in_domain downloads nothing: weights.source=hub does"
        raise _not_found(name, message, folder / name)
    log.info(f"weights: downloading {RELEASE}/{name} to {folder}/")
    try:
        _download(f"{RELEASE}/{name}", folder / name)
    except (OSError, HTTPException) as error:  # of urllib: no network, no such file, an answer cut short
        raise _not_found(
            name, f"not in {folder}/, and {RELEASE}/{name} can't be downloaded: {error}", folder / name
        ) from None
    return folder / name


def _download(url: str, path: Path) -> None:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, atomic(path) as temporary:
        with open(temporary, "wb") as file:
            shutil.copyfileobj(answer, file)
        announced = answer.headers.get("Content-Length")
        if announced is not None and temporary.stat().st_size != int(announced):
            raise OSError(f"{temporary.stat().st_size} of {announced} bytes came")


def _not_found(name: str, reason: str, wanted: Path) -> WeightsError:
    """`wanted`: where the run would find them."""
    found = f"weights.yolo={name}: YOLO weights not found ({reason})\n"
    if PUBLISHED.fullmatch(wanted.name):
        url = f"{RELEASE}/{wanted.name}"
        found += f"  where there is internet:  curl -fL --create-dirs -o {shlex.quote(str(wanted))} {url}\n"
        found += "  then:                     the same command"
    else:
        found += "  name a file that is there, weights.yolo=FILE, or one that Ultralytics has, such as yolov8n.pt"
    return WeightsError(found + "; weights.yolo=motion needs no weights")
