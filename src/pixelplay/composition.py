"""From overrides to a checked configuration: Hydra composes it from `configs/`, pydantic checks it."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pixelplay.config import Config
from pixelplay.errors import ConfigError
from pixelplay.scores import fusion_file
from pixelplay.settings import CONFIG_DIR, validate

if TYPE_CHECKING:  # slow to import
    from omegaconf import DictConfig


def composed(overrides: list[str]) -> "DictConfig":
    """The configuration as Hydra composes it; raises HydraException."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    if GlobalHydra.instance().is_initialized():  # by a command, which reads the same folder
        return compose("config", overrides=overrides)
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return compose("config", overrides=overrides)


def resolved(overrides: list[str]) -> Config:
    """The checked configuration of these overrides; raises ConfigError, or HydraException where one is impossible."""
    return checked(composed(overrides), overrides)


def checked(raw: "DictConfig", overrides: list[str]) -> Config:
    """The configuration that Hydra has composed of these overrides; raises ConfigError that names every bad key."""
    values = values_of(raw)
    values.pop("hydra", None)
    if (file := values.get("fusion_file")) is not None:
        why = f"fusion_file={file} replaces all of fusion; change the file, or leave out one of the two"
        _refuse_unused(overrides, r"[+~]*fusion[.=@]", why)
        values["fusion"] = fusion_file.read(Path(os.path.expanduser(str(file))))
    config = validate(Config, values)
    for name in config.fusion.composites:  # these combine streams; the detector of that name doesn't
        keys = rf"\+*detectors\.{re.escape(name)}\.scoring\.(quantile|power|spatial_weight|local_weight)="
        key = f"fusion.composites.{name}"
        why = f"{key} computes that stream from the others; change power or weights below {key}, or leave it to the"
        _refuse_unused(overrides, keys, f"{why} detector with '~{key}'")
    return config


def values_of(raw: "DictConfig") -> dict[str, Any]:
    """The values that Hydra has composed, interpolations resolved; raises ConfigError that names the key."""
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    try:
        return cast(dict[str, Any], OmegaConf.to_container(raw, resolve=True, throw_on_missing=True))
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key}=???: means that no value is given (a file of that name: ./???)") from None
    except OmegaConfBaseException as error:
        raise ConfigError(str(error).replace("\n    object_type=dict", "")) from None


def _refuse_unused(overrides: list[str], keys: str, why: str) -> None:
    """Raise ConfigError if one of the overrides matches `keys`, which are without effect."""
    if unused := next((override for override in overrides if re.match(keys, override)), None):
        raise ConfigError(f"{unused} would have no effect: {why}")
