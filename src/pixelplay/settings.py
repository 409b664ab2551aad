"""The base of all settings classes: field types, strict validation, errors that name the key and what is allowed."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pixelplay import ROOT
from pixelplay.errors import ConfigError
from pixelplay.renamed_keys import renamed

CONFIG_DIR = ROOT / "configs"
LONGEST = 200  # characters of a bad value that a message shows

# Upper bounds are far above any sensible value; they catch typos before these fill memory or disk.
Share = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveShare = Annotated[float, Field(gt=0.0, le=1.0)]
PartialShare = Annotated[float, Field(gt=0.0, lt=1.0)]
Percentile = Annotated[float, Field(ge=0, le=100)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]  # the range of PyTorch's and FAISS's generators
FrameNumber = Annotated[int, Field(ge=0, le=2**63 - 1)]
Natural = Annotated[int, Field(ge=1, le=1_000_000)]
Epochs = Annotated[int, Field(ge=1, le=100_000)]
Draws = Annotated[int, Field(ge=2, le=100_000)]  # bootstrap resamples, all in memory at once
BatchSize = Annotated[int, Field(ge=1, le=65_536)]
Window = Annotated[int, Field(ge=1, le=10_000)]  # frames
Gap = Annotated[int, Field(ge=0, le=10_000)]  # frames
Channels = Annotated[int, Field(ge=1, le=65_536)]
Pixels = Annotated[int, Field(ge=1, le=4096)]  # along a side of a working size
ImageSize = Annotated[int, Field(ge=48, le=4096, multiple_of=16)]  # pixels, of what a backbone sees
Workers = Annotated[int, Field(ge=0, le=1024)]  # threads or processes; 0: one per core
Fps = Annotated[float, Field(ge=0.001, le=10_000)]
Positive = Annotated[float, Field(gt=0, le=10_000)]
NonNegative = Annotated[float, Field(ge=0, le=10_000)]
Rate = Annotated[float, Field(gt=0, le=100)]  # learning rate


def _safe_name(value: str) -> str:
    if not value or value in {".", ".."} or any(c in value for c in "/\\\0") or value.startswith("."):
        raise ValueError(f"{value!r} names a folder or file: letters, digits, '_', '-', '=', ',' and inner dots only")
    return value


def _named(value: Any) -> Any:
    if value == "":
        raise ValueError("a file or folder has a name (. is the working directory)")
    return value


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # ~NAME
        here = Path.cwd() / path
        raise ValueError(f"no such user: {path.parts[0]} (a name that begins with ~ is written so: {here})") from None


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"no such file: {path} (a relative path starts at the working directory)")
    return path


def _quoted(value: Any) -> Any:
    if isinstance(value, int | float):
        raise ValueError("a video's id is text: put it in quotes, as in 'report.clips=[\"1\"]'")
    return value


def _device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:(0|[1-9]\d{0,2}))?", name, re.ASCII):
        raise ValueError("allowed: auto, cpu, cuda, cuda:NUMBER (cuda:0 is the first GPU) or mps")
    return name


def _unique(values: list[Any]) -> list[Any]:
    twice = [value for i, value in enumerate(values) if value in values[:i]]
    if twice:
        raise ValueError(f"{twice[0]} is listed more than once")
    return values


def _ascending(values: list[float]) -> list[float]:
    if values[0] >= values[1]:
        raise ValueError(f"the first value, {values[0]:g}, must be below the second, {values[1]:g}")
    return values


FileName = Annotated[str, AfterValidator(_safe_name)]
FilePath = Annotated[Path, Field(strict=False), BeforeValidator(_named), AfterValidator(_expanded)]
ExistingFile = Annotated[FilePath, AfterValidator(_existing)]
DeviceName = Annotated[str, AfterValidator(_device)]
VideoId = Annotated[str, BeforeValidator(_quoted)]
Bounds = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_ascending)]
Unique = AfterValidator(_unique)


def one_of(registry: str) -> AfterValidator:
    """A name of a registry of functions, `module:NAME` or several with commas, imported when a value is checked."""

    def check(value: str) -> str:
        names = list(_names(registry.split(",")))
        if value not in names:
            *most, last = map(repr, names)
            raise ValueError(f"Input should be {', '.join(most)} or {last}")
        return value

    return AfterValidator(check)


def _names(registries: list[str]) -> Iterable[str]:
    for module, _, name in (registry.partition(":") for registry in registries):
        yield from getattr(import_module(module), name)


class Settings(BaseModel):
    """Base of every settings class: no unknown keys, no type conversion, no NaN or infinity, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


SettingsT = TypeVar("SettingsT", bound=Settings)


def validate(cls: type[SettingsT], values: dict[str, Any], where: str = "") -> SettingsT:
    """Build `cls` from plain `values`; raises ConfigError that names every bad key below `where`."""
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        problems = [(_key(cls, problem["loc"], where), problem) for problem in error.errors(include_url=False)]
        old = {renamed(key) for key, problem in problems if problem["type"] == "extra_forbidden"}
        told = [(key, problem) for key, problem in problems if problem["type"] != "missing" or key not in old]
        raise ConfigError("\n".join(_explain(cls, problem, key) for key, problem in told)) from None


def _key(cls: type[Settings], path: tuple[int | str, ...], where: str) -> str:
    return ".".join(map(str, [where, *path] if where else path)) or cls.__name__


def _explain(cls: type[Settings], problem: Any, key: str) -> str:
    path = [str(part) for part in problem["loc"]]
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        if new := renamed(key):
            return f"{key}: renamed to {new}"
        return f"{key}: unknown key; {alternatives(path[-1], _fields_at(cls, path[:-1]))}"
    if problem["type"] == "missing":
        return f"{key}: missing; it has no default, so a config file or the command line must set it"
    shown = repr(problem["input"])
    return f"{key}={shown if len(shown) <= LONGEST else shown[:LONGEST] + ' …'}: {message}"


def _fields_at(cls: type[Settings], path: list[str]) -> list[str]:
    """Field names of the settings class at `path`, looking through Optional and dict annotations."""
    for name in path:
        field = cls.model_fields.get(name)
        if field is None:  # a key of a mapping, such as a detector's name: the class stays the mapping's value class
            continue
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
        classes = [c for c in inner if isinstance(c, type) and issubclass(c, Settings)]
        if not classes:
            return []
        cls = classes[0]
    return list(cls.model_fields)


def alternatives(name: str, allowed: list[str]) -> str:
    """'did you mean …?' where something is close, and always the allowed names."""
    close = get_close_matches(name, allowed, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}allowed here: {', '.join(sorted(allowed)) or 'nothing'}"
