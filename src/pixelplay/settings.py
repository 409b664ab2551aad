"""The base of all settings classes: field types, strict validation, errors that name the key and what is allowed."""

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from pkgutil import resolve_name
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pixelplay import ROOT
from pixelplay.errors import ConfigError
from pixelplay.renamed_keys import renamed

CONFIG_DIR = ROOT / "configs"
LONGEST = 200  # characters of a bad value that a message shows
SECRET = "secret"  # type of a pydantic error about a value that no message may show

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


def _only_if(holds: Callable[[Any], object], message: str) -> Callable[[Any], Any]:
    """A validator that refuses a value for which `holds` is false; {} in the message stands for the value."""

    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(message.format(value))
        return value

    return check


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # ~NAME
        here = Path.cwd() / path
        raise ValueError(f"no such user: {path.parts[0]} (a name that begins with ~ is written so: {here})") from None


def _unique(values: list[Any]) -> list[Any]:
    twice = [value for i, value in enumerate(values) if value in values[:i]]
    if twice:
        raise ValueError(f"{twice[0]} is listed more than once")
    return values


_is_name = re.compile(r"[^./\\\0][^/\\\0]*").fullmatch
_is_device = re.compile(r"auto|cpu|mps|cuda(:(0|[1-9]\d{0,2}))?", re.ASCII).fullmatch
_name = _only_if(_is_name, "{!r} names a folder or file: letters, digits, '_', '-', '=', ',' and inner dots only")
_run_name = _only_if(
    re.compile(r"[^./\\\0][^/\\\0]*(/[^./\\\0][^/\\\0]*)?").fullmatch,
    "{!r} names no run: EXPERIMENT, or EXPERIMENT/RUN for one that was given run=RUN",
)
_named = _only_if(lambda value: value != "", "a file or folder has a name (. is the working directory)")
_existing = _only_if(Path.is_file, "no such file: {} (a relative path starts at the working directory)")
_device = _only_if(_is_device, "allowed: auto, cpu, cuda, cuda:NUMBER (cuda:0 is the first GPU) or mps")
_quoted = _only_if(
    lambda value: not isinstance(value, int | float),
    "a video's id is text: put it in quotes, as in 'report.clips=[\"1\"]'",
)
_ascending = _only_if(
    lambda values: values[0] < values[1], "the first value, {0[0]:g}, must be below the second, {0[1]:g}"
)

FileName = Annotated[str, AfterValidator(_name)]
FilePath = Annotated[Path, Field(strict=False), BeforeValidator(_named), AfterValidator(_expanded)]
ExistingFile = Annotated[FilePath, AfterValidator(_existing)]
RunName = Annotated[str, AfterValidator(_run_name)]
DeviceName = Annotated[str, AfterValidator(_device)]
VideoId = Annotated[str, BeforeValidator(_quoted)]
Bounds = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_ascending)]
Unique = AfterValidator(_unique)


def one_of(registry: str) -> AfterValidator:
    """A name of a registry of functions, `module:NAME` or several with commas, imported when a value is checked."""

    def check(value: str) -> str:
        names = [name for place in registry.split(",") for name in resolve_name(place)]
        if value not in names:
            *most, last = map(repr, names)
            raise ValueError(f"Input should be {', '.join(most)} or {last}")
        return value

    return AfterValidator(check)


class Settings(BaseModel):
    """Base of every settings class: no unknown keys, no type conversion, no NaN or infinity, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


SettingsT = TypeVar("SettingsT", bound=Settings)


def validate(cls: type[SettingsT], values: dict[str, Any], where: str = "") -> SettingsT:
    """Build `cls` from plain `values`; raises ConfigError that names every bad key below `where`."""
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        start = [where] if where else []
        problems = [(".".join(map(str, [*start, *one["loc"]])), one) for one in error.errors(include_url=False)]
        old = {renamed(key) for key, problem in problems if problem["type"] == "extra_forbidden"}
        told = [(key, problem) for key, problem in problems if problem["type"] != "missing" or key not in old]
        raise ConfigError("\n".join(_explain(cls, problem, key or cls.__name__) for key, problem in told)) from None


def _explain(cls: type[Settings], problem: Any, key: str) -> str:
    path = [str(part) for part in problem["loc"]]
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        if new := renamed(key):
            return f"{key}: renamed to {new}"
        return f"{key}: unknown key; {alternatives(path[-1], _fields_at(cls, path[:-1]))}"
    if problem["type"] == "missing":
        return f"{key}: missing; it has no default, so a config file or the command line must set it"
    value = "…" if problem["type"] == SECRET else shown(repr(problem["input"]))
    return f"{key}={value}: {message}"


def _fields_at(cls: type[Settings], path: list[str]) -> list[str]:
    """Field names of the settings class at `path`, looking through Optional and dict annotations."""
    for name in path:
        field = cls.model_fields.get(name)
        if field is None:  # a key of a mapping, such as a detector's name: the class stays the mapping's value class
            continue
        inner = [kind for part in members(field.annotation) for kind in (part, *get_args(part))]
        classes = [kind for kind in inner if isinstance(kind, type) and issubclass(kind, Settings)]
        if not classes:
            return []
        cls = classes[0]
    return list(cls.model_fields)


def members(annotation: Any) -> list[Any]:
    """The members of a union; of any other annotation, itself."""
    if get_origin(annotation) is Annotated:
        return members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in members(part)]
    return [annotation]


def alternatives(name: str, allowed: list[str]) -> str:
    """'did you mean …?' where something is close, and always the allowed names."""
    close = closest(name, allowed)
    hint = f"did you mean {close!r}? " if close else ""
    return f"{hint}allowed here: {', '.join(sorted(allowed)) or 'nothing'}"


def closest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The most similar of `names`, if its similarity is at least `cutoff` (0 to 1)."""
    return next(iter(get_close_matches(name, list(names), n=1, cutoff=cutoff)), None)


def shown(text: str) -> str:
    """Text of the user's, as much of it as a message shows."""
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"
