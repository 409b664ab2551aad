"""Files of a pretrained VideoMAE: in a folder, or under a name on the Hugging Face hub."""

import json
import re
from pathlib import Path

from pixelplay.backbones.state_dict import from_hub, hub_lacks, not_found
from pixelplay.errors import ConfigError, WeightsError

SETTINGS = ("config.json", "preprocessor_config.json")
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # one of them
FILES = ((SETTINGS[0],), (SETTINGS[1],), WEIGHTS)  # one of each
DEFAULT_SIDE = 224  # transformers' default, where config.json has none
HUB = "MCG-NJU/videomae-base"  # weights=hub
HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def check_videomae(source: str, key: str = "weights.videomae") -> None:
    """Raise WeightsError if `videomae_folder` would not find the files; quick, downloads nothing.

    Raises ConfigError for what is neither a folder nor a hub name.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        for names in FILES:
            if not any((folder / name).is_file() for name in names):
                raise WeightsError(
                    f"{key}={source}: no weights found (the folder has no {' or '.join(names)})\n"
                    f"  it must hold {', '.join(SETTINGS)} and {WEIGHTS[0]}: name another folder, {key}=FOLDER"
                )
    elif not HUB_NAME.fullmatch(source):
        raise ConfigError(
            f"{key}={source}: no such folder, and not a hub name: use a folder that holds "
            f"{', '.join(SETTINGS)} and {WEIGHTS[0]}, a name such as MCG-NJU/videomae-base, or in_domain"
        )
    elif reason := next(filter(None, (hub_lacks(source, names) for names in FILES)), None):
        raise not_on_hub(source, reason, f"{key}={source}")


def videomae_folder(source: str, key: str = "weights.videomae") -> Path:
    """The folder with a model's files, from the cache or downloaded; raises as `check_videomae`."""
    folder = Path(source).expanduser()
    if folder.is_dir() or not HUB_NAME.fullmatch(source):
        check_videomae(source, key)
        return folder
    try:
        return [from_hub(source, names) for names in FILES][-1].parent
    except WeightsError as error:
        raise not_on_hub(source, str(error), f"{key}={source}") from None


def side_of(source: str) -> int | None:
    """Side in pixels of a model's square images; None if that is not known without a download."""
    path = Path(source).expanduser() / SETTINGS[0]
    if not path.is_file():
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(source, SETTINGS[0]) if HUB_NAME.fullmatch(source) else None
        if not isinstance(found, str):
            return None
        path = Path(found)
    try:
        side = json.loads(path.read_text(encoding="utf-8")).get("image_size", DEFAULT_SIDE)
    except (OSError, ValueError, AttributeError):
        return None  # loading it raises the error
    return side if isinstance(side, int) else None


def not_on_hub(source: str, reason: str, setting: str) -> WeightsError:
    """The error for weights that `setting`, KEY=VALUE, names, with the command that downloads a hub's model."""
    folder, key = Path("weights") / source.split("/")[1], setting.partition("=")[0]
    return not_found(setting, reason, source, [*SETTINGS, WEIGHTS[0]], folder / "#1", f"{key}={folder}")
