"""Settings in a YAML file of the user's: data, no tags, no interpolation, of bounded size and depth."""

from pathlib import Path

from pixelplay.errors import ConfigError
from pixelplay.settings import SettingsT, validate

LARGEST = 2**18  # bytes; a fusion of a hundred members has a tenth of it
DEEPEST = 16  # levels; a fusion has five


def read_settings(path: Path, cls: type[SettingsT], key: str, of: str, root: str = "") -> SettingsT:
    """The settings in the file that `key` names; raises ConfigError that names key, file and every bad value.

    of: what they are, for messages; root: the key of the configuration that has the same ones below it.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        text = _text(path, key)
        _refuse_bombs(text)
        # OmegaConf's loader is PyYAML's safe one; it also refuses a key that comes twice, and reads 1e-3 as a number.
        values = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    except OSError as error:
        raise ConfigError(f"{key}={path}: can't be read: {error.strerror}") from None
    except RecursionError:  # in the parser of OmegaConf's interpolations
        raise ConfigError(f"{key}={path}: not the YAML of {of}: nested too deeply") from None
    except (YAMLError, OmegaConfBaseException, ValueError) as error:  # ValueError: too many digits
        raise ConfigError(f"{key}={path}: not the YAML of {of}: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{key}={path}: must have the keys of {root or of}: {', '.join(cls.model_fields)}")
    try:
        return validate(cls, {str(name): value for name, value in values.items()}, root)
    except ConfigError as error:
        lines = (f"{key}={path}: {line.removeprefix(f'{root}.')}" for line in str(error).splitlines())
        raise ConfigError("\n".join(lines)) from None


def _text(path: Path, key: str) -> str:
    if path.exists() and not path.is_file():
        raise ConfigError(f"{key}={path}: can't be read: not a regular file")
    return bounded_text(path, LARGEST)


def bounded_text(path: Path, largest: int) -> str:
    """The UTF-8 text of a file of at most `largest` bytes; raises ValueError for any other."""
    with open(path, "rb") as file:
        data = file.read(largest + 1)
    if len(data) > largest:
        raise ValueError(f"larger than {largest // 1024} KiB")
    return data.decode("utf-8")


def _refuse_bombs(text: str) -> None:
    """Raise ValueError for aliases, which can stand for billions of values, and for nesting that no settings have.

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
