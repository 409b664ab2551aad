"""A fusion as a file: `fusion_file=FILE.yaml` takes it in place of `fusion`, a search for weights writes it.

It has the keys of `configs/fusion/default.yaml`, at its top level. It is data: no tags, no interpolation.
"""

from pathlib import Path

from pixelplay.errors import ConfigError
from pixelplay.scores.settings import FusionConfig
from pixelplay.settings import validate

LARGEST = 2**18  # bytes; a fusion of a hundred members has a tenth of it
DEEPEST = 16  # levels; a fusion has five


def read(path: Path) -> FusionConfig:
    """The fusion in a YAML file; raises ConfigError that names the file and every bad key."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        text = _text(path)
        _refuse_bombs(text)
        # OmegaConf's loader is PyYAML's safe one; it also refuses a key that comes twice, and reads 1e-3 as a number.
        values = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    except OSError as error:
        raise ConfigError(f"fusion_file={path}: can't be read: {error.strerror}") from None
    except RecursionError:  # in the parser of OmegaConf's interpolations
        raise ConfigError(f"fusion_file={path}: not the YAML of a fusion: nested too deeply") from None
    except (YAMLError, OmegaConfBaseException, ValueError) as error:  # ValueError: too many digits
        raise ConfigError(f"fusion_file={path}: not the YAML of a fusion: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"fusion_file={path}: must have the keys of fusion: {', '.join(FusionConfig.model_fields)}")
    try:
        return validate(FusionConfig, {str(key): value for key, value in values.items()}, "fusion")
    except ConfigError as error:
        lines = (f"fusion_file={path}: {line.removeprefix('fusion.')}" for line in str(error).splitlines())
        raise ConfigError("\n".join(lines)) from None


def to_text(config: FusionConfig) -> str:
    """YAML that `read` gives the same fusion for."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(config.model_dump(mode="json")))


def _text(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise ConfigError(f"fusion_file={path}: can't be read: not a regular file")
    with open(path, "rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"larger than {LARGEST // 1024} KiB")
    return data.decode("utf-8")


def _refuse_bombs(text: str) -> None:
    """Raise ValueError for aliases, which can stand for billions of values, and for nesting that no fusion has.

    Reads the YAML's events, one after the other, so that nothing is built of them.
    """
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ValueError(f"line {event.start_mark.line + 1}: anchors (&) and aliases (*) are not allowed")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"line {event.start_mark.line + 1}: nested more than {DEEPEST} levels deep")
