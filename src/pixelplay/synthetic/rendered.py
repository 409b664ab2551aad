"""The sample data set on disk: rendered by `prepare` unless it is there as the settings want it."""

import logging
from contextlib import suppress
from glob import escape
from typing import TYPE_CHECKING

from pixelplay.errors import DataError, PixelPlayError
from pixelplay.run.artifacts import read_json, write_json
from pixelplay.run.atomic import remove_leftovers, replaced_folder, require_writable

if TYPE_CHECKING:
    from pixelplay.config import Config

log = logging.getLogger(__name__)

VERSION = 1  # raised when the data set is rendered differently
RENDERED = ".rendered.json"  # in the data set: the settings that it was rendered with


def is_rendered(config: "Config") -> bool:
    """False where the data set is the project's own and is missing, or was rendered with other settings."""
    sample, root = config.dataset.sample, config.dataset.root
    if sample is None or root is None:
        return True
    with suppress(PixelPlayError):
        settings = {"version": VERSION, **sample.model_dump(mode="json")}
        return read_json(root / RENDERED, made_by="prepare") == settings
    return False


def render(config: "Config") -> None:
    """Render the data set, in place of one with other settings; DataError where something else is in its folder."""
    from pixelplay.synthetic.sample import render_sample  # slow to import

    sample, root = config.dataset.sample, config.dataset.root
    assert sample is not None and root is not None
    require_writable(root.parent, "dataset.root")
    if root.is_dir() and any(root.iterdir()) and not (root / RENDERED).is_file():
        raise DataError(f"{root} is not empty and was not rendered by this project: set dataset.root=FOLDER")
    log.info(f"prepare: rendering the sample data set into {root}/")
    remove_leftovers(root.parent, f".*{escape(root.name)}*")
    with replaced_folder(root) as new:
        render_sample(new, sample, config.workers)
        write_json(new / RENDERED, {"version": VERSION, **sample.model_dump(mode="json")})
