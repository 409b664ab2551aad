"""The options that a run, or a variant of its fusion, was started with: `config.yaml` in its folder."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from pixelplay.errors import DamagedArtifactError
from pixelplay.run.artifacts import explained, write_text
from pixelplay.run.yaml_file import bounded_text

LARGEST = 2**20  # bytes; that of the experiment with most detectors has a thirtieth of it
COMMENT = """# What was typed for this run or variant: every command that names it recalls these options.
# `config` is the whole configuration that they gave; it is for reading.
"""


class RunOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    options: list[str]  # overrides as Hydra reads them
    config: dict[str, Any]


def read_options(path: Path) -> list[str] | None:
    """The options in a run's file, None where there is no such file; raises DamagedArtifactError."""
    try:
        return RunOptions.model_validate(yaml.safe_load(bounded_text(path, LARGEST))).options
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = explained(error) if isinstance(error, ValidationError) else str(error)
        raise DamagedArtifactError(
            f"{path} is damaged ({' '.join(why.split())[:200]}): put back a copy of it, or delete it and type the "
            "options of the run once more"
        ) from None


def write_options(path: Path, options: list[str], config: dict[str, Any]) -> None:
    """Write the file; `config`: the whole configuration, as JSON."""
    write_text(path, COMMENT + yaml.safe_dump({"options": options, "config": config}, sort_keys=False, width=120))
