"""A fusion as a file: `fusion_file=FILE.yaml` takes it in place of `fusion`, a search for weights writes it.

It has the keys of `configs/fusion/default.yaml`, at its top level. It is data: no tags, no interpolation.
"""

from pathlib import Path

from pixelplay.config import FusionConfig, validate
from pixelplay.errors import ConfigError


def read(path: Path) -> FusionConfig:
    """The fusion in a YAML file; raises ConfigError that names the file and every bad key."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        # OmegaConf's loader is PyYAML's safe one; it also refuses a key that comes twice, and reads 1e-3 as a number.
        values = OmegaConf.to_container(OmegaConf.create(path.read_text(encoding="utf-8")), resolve=False)
    except OSError as error:
        raise ConfigError(f"fusion_file={path}: can't be read: {error.strerror}") from None
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise ConfigError(f"fusion_file={path}: not the YAML of a fusion: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"fusion_file={path}: must have the keys of fusion: {', '.join(FusionConfig.model_fields)}")
    try:
        return validate(FusionConfig, {str(key): value for key, value in values.items()})
    except ConfigError as error:
        lines = (f"fusion_file={path}: {line}" for line in str(error).splitlines())
        raise ConfigError("\n".join(lines)) from None


def to_text(config: FusionConfig) -> str:
    """YAML that `read` gives the same fusion for."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(config.model_dump(mode="json")))
