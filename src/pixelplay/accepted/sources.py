"""Where the events of a run are: those of its test videos, and those of sources that were scored online."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pixelplay.errors import ConfigError
from pixelplay.events.event import Event, Events
from pixelplay.run.artifacts import damaged, explained, parse_json, read_model
from pixelplay.run.files import RunFiles

if TYPE_CHECKING:
    from pixelplay.config import Config

LINES = "events.jsonl"  # of a source that was scored online, in its folder
FOLDER = "events"  # beside it: what belongs to single events, named after them
NAME = re.compile(r"\w[\w.-]*")  # of a file
SHOWN = 5  # names, of the nearest


@dataclass(frozen=True)
class Found:
    """An event of a run."""

    event: Event
    file: Path  # that lists it
    vectors: Path  # of its objects, which may not be there
    source: str | None = None  # folder of what was scored online; None: the run's test videos

    @property
    def name(self) -> str:
        """By which `event=` knows it, where others have its id."""
        return f"{self.source}/{self.event.id}" if self.source else self.event.id


def find_event(config: "Config", wanted: str) -> Found:
    """The event with this id or name; raises ConfigError, which lists the nearest, where it is not the only one.

    Raises DamagedArtifactError for a list of events that can't be read.
    """
    known = list(_known(config))
    found = [one for one in known if wanted in (one.event.id, one.name)]
    exact = [one for one in found if one.name == wanted]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if found:
        raise ConfigError(f"event={wanted}: there are several: event={', event='.join(one.name for one in found)}")
    raise unknown(wanted, [one.name for one in known], f"event of {RunFiles.of(config).fusion}/")


def unknown(wanted: str, names: Sequence[str], what: str) -> ConfigError:
    """The error for a name that is not among those of `what`, which lists the nearest."""
    near = get_close_matches(wanted, names, n=SHOWN, cutoff=0.0)
    listed = f"the nearest of {len(names)}: {', '.join(near)}" if near else "there are none"
    return ConfigError(f"event={wanted}: no such {what}; {listed}")


def _known(config: "Config") -> Iterator[Found]:
    files = RunFiles.of(config)
    if files.events.exists():
        for event in read_model(files.events, Events, made_by="events").events:
            yield Found(event, files.events, files.events_folder / f"{event.id}.npz")
    folders = {path.parent for path in files.online.glob(f"*/{LINES}")}
    for folder in sorted(folders | ({config.online.folder} if config.online.folder else set())):
        for event in _online(folder / LINES):
            yield Found(event, folder / LINES, folder / FOLDER / f"{event.id}.npz", folder.name)


def _online(path: Path) -> list[Event]:
    """The events that are listed in a file, each as its last line has it; whoever writes it may be in the middle of it.

    A line may say more of an event, such as its run.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]  # after the last line break is nothing, or half of a line
    found: dict[str, Event] = {}
    for number, line in enumerate(lines, start=1):
        try:
            values = parse_json(line)
            event = Event.model_validate({key: values[key] for key in Event.model_fields})
            if not NAME.fullmatch(event.id):
                raise ValueError(f"{event.id!r} is no name of a file")
        except ValidationError as error:
            raise damaged(path, "infer", f"line {number}: {explained(error)}") from None
        except (ValueError, TypeError, KeyError) as error:
            raise damaged(path, "infer", f"line {number}: {error!r}") from None
        found[event.id] = event
    return list(found.values())
