"""What a detector's settings say with pretrained weights named by their contents: other weights under an old name are
other settings, the same ones under another name are not. Quick, and imports nothing heavy.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixelplay.run.digests import Digests

READ = {".json", ".safetensors", ".bin"}  # suffixes of the files of a model's folder that decide what the model is


def by_contents(settings: Mapping[str, Any], digests: Digests) -> dict[str, Any]:
    """The settings as far as results depend on them. Files may be missing, and settings wrong: nothing is refused here.

    Of `weights`, only the backbone is a detector's own: who found its objects is part of what `detect` depends on. A
    VideoMAE on the hub goes by its name.
    """
    found = dict(settings)
    if isinstance(weights := settings.get("weights"), Mapping):
        backbone, file = weights.get("backbone"), weights.get("backbone_file")
        used = file is not None and backbone != "in_domain"
        content = digests.of([Path(str(file)).expanduser()]) if used else []
        found["weights"] = {"backbone": backbone, "content": content}
    if isinstance(source := settings.get("videomae"), str):
        folder = Path(source).expanduser()
        if folder.is_dir():
            files = sorted(path for path in folder.iterdir() if path.suffix in READ)
            found["videomae"] = list(zip([file.name for file in files], digests.of(files), strict=True))
    return found


def files_there(settings: Mapping[str, Any]) -> bool:
    """Whether the files and folders of weights that the settings name are on disk; a name on a hub is no file."""
    weights, videomae = settings.get("weights"), settings.get("videomae")
    file = weights.get("backbone_file") if isinstance(weights, Mapping) else None
    named = [] if file is None else [Path(str(file))]
    if isinstance(videomae, str) and Path(videomae).is_absolute():
        named.append(Path(videomae))
    return all(path.expanduser().exists() for path in named)
