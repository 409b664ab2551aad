"""Where YOLO's pretrained weights are: a file of the user's, or downloaded once from where Ultralytics has them."""

import logging
import shutil
import urllib.request
from http.client import HTTPException
from pathlib import Path

from pixelplay.errors import WeightsError
from pixelplay.run.atomic import atomic

log = logging.getLogger(__name__)

RELEASE = "https://github.com/ultralytics/assets/releases/download/v8.4.0"  # where Ultralytics itself gets them
TIMEOUT = 20  # seconds without an answer


def at_hand(name: str, folder: Path) -> Path | None:
    """The file of the weights `name`: that path, or that name in `folder`; None where neither is there."""
    return next((path for path in (Path(name).expanduser(), folder / name) if path.is_file()), None)


def get_weights(name: str, folder: Path, download: bool) -> Path:
    """The same, downloaded to `folder` where they are not at hand; `download` says whether that is allowed.

    Raises WeightsError where they can be had neither way; it says what to do.
    """
    path = at_hand(name, folder)
    if path is not None:
        return path
    if Path(name).name != name:
        raise WeightsError(_neither_way(name, "there is no such file", folder))
    if not download:
        raise WeightsError(_neither_way(name, f"they are not in {folder}/, and weights=in_domain", folder))
    log.info(f"weights: downloading {RELEASE}/{name} to {folder}/")
    try:
        _download(f"{RELEASE}/{name}", folder / name)
    except (OSError, HTTPException) as error:  # of urllib: no network, no such file, an answer cut short
        raise WeightsError(_neither_way(name, f"they are not in {folder}/, and {error}", folder)) from None
    return folder / name


def _download(url: str, path: Path) -> None:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, atomic(path) as temporary:
        with open(temporary, "wb") as file:
            shutil.copyfileobj(answer, file)
        announced = answer.headers.get("Content-Length")
        if announced is not None and temporary.stat().st_size != int(announced):
            raise OSError(f"{temporary.stat().st_size} of {announced} bytes came")


def _neither_way(name: str, reason: str, folder: Path) -> str:
    file = Path(name).name
    return (
        f"weights.detector={name}: these YOLO weights are not to be had: {reason}. Two ways to get them:\n"
        f"  with internet:     weights=hub weights.detector={file}, which downloads them once to {folder}/\n"
        f"  without internet:  download {RELEASE}/{file} elsewhere, bring the file here and name it with "
        f"weights.detector=FOLDER/{file}\n"
        "or set weights.detector=motion, which needs no weights"
    )
