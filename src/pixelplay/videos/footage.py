"""Opens a source of frames by the path of a video file, or as an index has stored it."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from pixelplay import requirements
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.sources import Source

IMAGE_FOLDER = TypeAdapter(ImageFolder)  # made once: an index has hundreds


def video_file(path: Path) -> Source:
    """A video file as a source; raises MissingPackageError if PyAV is not installed."""
    requirements.require(["video"])
    from pixelplay.videos.video_file import VideoFile  # imported late: folders of images need no PyAV

    return VideoFile(path)


def source_from_json(fields: dict[str, Any]) -> Source:
    """The source with these fields (`dataclasses.asdict`); raises ValidationError or MissingPackageError."""
    return video_file(Path(fields["path"])) if "path" in fields else IMAGE_FOLDER.validate_python(fields)
