"""Overrides `key=value` as typed in a shell, translated to Hydra's grammar.

The value of a key that takes text (a path, a name, a message) is taken as typed: `dataset.root=~/my videos (2)` needs
no quotes but the shell's.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

from pixelplay.config import Config
from pixelplay.errors import ConfigError
from pixelplay.renamed_keys import renamed
from pixelplay.settings import CONFIG_DIR, Settings, alternatives, closest, members, shown

OPTION = re.compile(r"(\+{0,2})([A-Za-z_][\w.$/@:-]*)=(.*)", re.ASCII | re.DOTALL)  # marks, key, value
DELETION = re.compile(r"~[A-Za-z_][\w.$/@:-]*(=.*)?", re.ASCII | re.DOTALL)
QUOTED = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
ITEM = re.compile(rf"\s*({QUOTED}|[^,]*?)\s*,", re.DOTALL)  # up to a comma that is not in quotes
FUNCTION = re.compile(r"[a-z]+\(.*\)", re.DOTALL)  # choice(…), range(…), glob(…): of Hydra's sweeps
LITERAL_DOLLAR = re.compile(r"(\\*)\$\{(?![^{}]+\})")  # begins no ${key} and no ${oc.env:NAME}
OWN = re.compile(r"detectors\.[^.]+\.(training|scoring)\.")  # a detector's own keys, which it checks itself
UNKNOWN = ""  # in place of an argument that may have been meant
DETECTORS = "detector"  # the group of which several are chosen

USUAL = {  # keys, and what other projects call them
    "trainer.max_epochs": ("epoch", "epochs"),
    "trainer.learning_rate": ("lr",),
    "trainer.batch_size": ("batch_size",),
    "dataset.root": ("data", "data_dir", "data_root", "root"),
    "device": ("gpu", "gpus"),
    "paths.outputs": ("output", "output_dir"),
    "experiment": ("config",),
    "workers": ("num_workers",),
    DETECTORS: ("model", "models"),
}


class Slip(ConfigError):
    """A mistake in `count` arguments; `mended` are those that were likely meant, or UNKNOWN."""

    def __init__(self, message: str, *mended: str, count: int = 1):
        super().__init__(message)
        self.mended, self.count = mended, count


class Field(NamedTuple):
    """What a key of the configuration accepts."""

    text: bool = False  # text, or a path; or a list of such
    many: bool = False  # a list
    section: bool = False  # further keys


@cache
def fields(section: type[Settings] = Config, prefix: str = "") -> dict[str, Field]:
    """Every key of the configuration, dotted, except those of detectors and of fusion members, whose names vary."""
    found: dict[str, Field] = {}
    for name, field in section.model_fields.items():
        kinds = [kind for kind in members(field.annotation) if kind is not type(None)]
        if any(get_origin(kind) is dict for kind in kinds):
            continue
        sections = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Settings)]
        items = [item for kind in kinds if get_origin(kind) is list for item in members(get_args(kind)[0])]
        found[prefix + name] = Field(all(k in (str, Path) for k in items or kinds), bool(items), bool(sections))
        for inner in sections:
            found |= fields(inner, f"{prefix}{name}.")
    return found


@cache
def groups() -> list[str]:
    """The folders of configs/: configuration groups."""
    return sorted(folder.name for folder in CONFIG_DIR.iterdir() if folder.is_dir())


def choices(group: str) -> list[str]:
    return sorted(file.stem for file in (CONFIG_DIR / group).glob("*.yaml"))


def nearest(name: str) -> str | None:
    """The key with a name like `name`; the shortest of several."""
    name = name.strip("-").replace("-", "_")
    known = [*groups(), *fields()]
    if name in known:
        return name
    if usual := next((key for key, names in USUAL.items() if name in names), None):
        return usual
    wanted = closest(name, known, 0.8) or closest(name, {key.rsplit(".", 1)[-1] for key in known}, 0.7)
    fitting = [key for key in known if wanted in (key, key.rsplit(".", 1)[-1])]
    return min(fitting, key=lambda key: (not key.startswith("trainer."), key.count("."), key), default=None)


def read_override(override: str, multirun: bool = False) -> str:
    """An override for Hydra; in a sweep (`multirun`), commas separate the values of its runs.

    Raises Slip for what is not an override, an old key, a choice without a file, and several values without a sweep.
    """
    name = override.lstrip("~+").partition("=")[0]
    if (new := renamed(name)) and not OWN.match(name):
        raise Slip(f"{name}: renamed to {new}", override.replace(name, new, 1))
    if DELETION.fullmatch(override):
        return override
    found = OPTION.fullmatch(override)
    if found is None:
        raise Slip(f"{shown(override)}: not an option; options are written key=value", UNKNOWN)
    marks, key, value = found.groups()
    if key in groups() and not value.startswith("{"):
        return f"{key}={_choice(key, value, multirun)}"
    field = fields().get(key, Field())
    if field.text and multirun and FUNCTION.fullmatch(value) and _parsed(value):
        return override
    if field.section and value.lower() != "null" and not value.startswith(("{", "${")):
        below = ", ".join(other for other in fields() if other.startswith(f"{key}."))
        raise Slip(f"{shown(override)}: {key} is a group of keys: {below}", UNKNOWN)
    marks = "++" if marks and key in fields() else marks  # the key exists: nothing to add
    return f"{marks}{key}={_value(key, value, field, multirun)}"


def _choice(group: str, value: str, multirun: bool) -> str:
    """The checked value of a group; a list of names if several may be chosen."""
    if multirun and FUNCTION.fullmatch(value):
        return value
    named, there = re.findall(r"[^\[\],\s\"']+", value), choices(group)
    unknown = [name for name in named if name not in there]
    if group == "dataset" and unknown and (value.startswith((".", "~")) or "/" in value):
        message = f"dataset={value}: a folder is given as dataset.root=FOLDER, its layout by experiment="
        raise Slip(message, f"dataset.root={value}")
    none = group == DETECTORS and value == "[]"  # further options add some
    if unknown or not (named or none):
        mended = f"{group}={value}" if unknown else UNKNOWN
        for name in unknown:
            close = closest(name, there)
            mended = mended.replace(name, close) if close else UNKNOWN
        hint = alternatives((unknown or [""])[0], there)
        raise Slip(f"{shown(f'{group}={value}')}: no such file in configs/{group}/; {hint}", mended)
    if len(named) > 1 and group != DETECTORS and not multirun:
        raise _several(group, value, many=False)
    return f"[{','.join(named)}]" if group == DETECTORS and not multirun else value


def _value(key: str, value: str, field: Field, multirun: bool) -> str:
    """A value for Hydra; one that is not text and can't be parsed becomes text, which the type check refuses.

    Brackets of a list of texts are optional, except in a sweep, where commas separate lists.
    """
    if field.text and not field.many:
        return ",".join(map(_text, ITEM.findall(value + ","))) if multirun else _text(value)
    parsed = _parsed(value)
    if not field.text:
        if parsed and parsed.is_sweep_override() and not multirun:
            raise _several(key, value, field.many)
        return value if parsed else _text(value)
    if parsed and (multirun or value.lower() == "null" or value.startswith("${")):
        return value
    items = parsed.value() if parsed and "\\" not in value else None
    if isinstance(items, list) and all(isinstance(item, str) for item in items):
        return value
    inner = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    return f"[{','.join(map(_text, ITEM.findall(inner + ',')))}]"


def _text(value: str) -> str:
    """Text as typed, quoted if Hydra would read something else; null, quotes and ${key} keep their meaning."""
    parsed = _parsed(value)
    if value.lower() == "null" or (parsed and re.fullmatch(QUOTED, value, re.DOTALL)):
        return value
    plain = value and parsed and "\\" not in value and not parsed.is_sweep_override()
    if plain and parsed.value() == value:
        return value
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(LITERAL_DOLLAR.sub(r"\1\1\\${", value), Quote.single).with_quotes()


def _several(key: str, value: str, many: bool) -> Slip:
    if many:
        return Slip(f"{shown(f'{key}={value}')}: a list needs brackets: '{key}=[{shown(value)}]'", f"{key}=[{value}]")
    message = f"{shown(f'{key}={value}')}: several values for one key; --multirun starts a run for each"
    return Slip(message, "--multirun", f"{key}={value}")


def _parsed(value: str) -> Any:
    """The value as Hydra parses it, None if it can't."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(f"key={value}")
    except (HydraException, ValueError, RecursionError):  # the last two: a number too long, brackets too deep
        return None
