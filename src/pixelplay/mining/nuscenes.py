"""NuScenes (Caesar et al., CVPR 2020): scenes and cameras of its JSON tables, key frames and sweeps.

A table is a JSON array of records that refer to each other by token: sample_data (a file and its time) to its sample
(a moment) to its scene, and by its calibrated_sensor to its sensor.
"""

import codecs
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pixelplay import requirements
from pixelplay.errors import ConfigError, DataError
from pixelplay.mining.clips import Clip, matching
from pixelplay.mining.settings import MineConfig

BUFFER = 1 << 16  # bytes read at a time


@dataclass(frozen=True)
class Tables:
    """`folder` holds the tables; the file names in them are relative to `root`."""

    folder: Path
    root: Path

    def records(self, name: str, *fields: str) -> Iterator[tuple[Any, ...]]:
        """These fields of each record of a table; raises DataError with the number of a record without one of them."""
        path = self.folder / f"{name}.json"
        for number, record in enumerate(read_array(path), start=1):
            try:
                yield tuple(record[field] for field in fields)
            except (KeyError, TypeError):
                raise DataError(f"{path}, record {number}: one of {', '.join(fields)} is missing") from None

    def linked(self, name: str, target: str, known: Mapping[str, Any]) -> dict[str, Any]:
        """By the token of each record of a table, the value in `known` of the record in `target` it refers to."""
        pairs = self.records(name, "token", f"{target}_token")
        return {token: self.resolve(name, target, known, to) for token, to in pairs}

    def resolve(self, name: str, target: str, known: Mapping[str, Any], token: str) -> Any:
        """`known[token]`; raises DataError for a token in table `name` that table `target` doesn't have."""
        if token not in known:
            raise DataError(f"{self.folder / name}.json: it refers to {token}, which is missing from {target}.json")
        return known[token]


def find_tables(source: Path, version: str | None) -> Tables | None:
    """The tables in a NuScenes folder or one folder below; None without any. Raises ConfigError for several."""
    if version is not None:
        if not (source / version / "scene.json").is_file():
            raise ConfigError(f"mine.nuscenes.version={version}: no such file: {source / version / 'scene.json'}")
        return Tables(source / version, source)
    if (source / "scene.json").is_file():
        return Tables(source, source.parent)
    found = sorted(path.parent for path in source.glob("*/scene.json"))
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise ConfigError(f"{source}: tables of several versions ({names}): name one with mine.nuscenes.version=")
    return Tables(found[0], source) if found else None


def read_scenes(tables: Tables, config: MineConfig) -> Iterator[Clip]:
    """The cameras of each chosen scene, sorted by name, frames by time. Raises DataError for damaged tables."""
    scenes = {token: (str(name), token) for token, name in tables.records("scene", "token", "name")}
    chosen = matching("scenes", config.scenes, [name for name, _ in scenes.values()])
    scene_of = tables.linked("sample", "scene", scenes)
    sensors = {
        token: str(channel) if modality == "camera" else None
        for token, channel, modality in tables.records("sensor", "token", "channel", "modality")
    }
    cameras = matching("cameras", config.cameras, filter(None, sensors.values()))
    camera_of = tables.linked("calibrated_sensor", "sensor", sensors)
    frames: dict[tuple[str, str, str], list[tuple[int, str]]] = {}
    table = tables.folder / "sample_data.json"
    fields = ("sample_token", "calibrated_sensor_token", "is_key_frame", "timestamp", "filename")
    for sample, sensor, is_key_frame, timestamp, filename in tables.records("sample_data", *fields):
        camera = tables.resolve("sample_data", "calibrated_sensor", camera_of, sensor)
        name, scene = tables.resolve("sample_data", "sample", scene_of, sample)
        skipped = config.nuscenes.frames == "key_frames" and not is_key_frame
        if skipped or camera not in cameras or name not in chosen:
            continue
        path = PurePosixPath(str(filename))
        if type(timestamp) is not int:
            raise DataError(f"{table}: timestamp {timestamp!r:.40} of {filename!r:.60} is not an integer")
        if path.is_absolute() or ".." in path.parts:
            raise DataError(f"{table}: filename {filename!r} leads out of {tables.root}")
        frames.setdefault((name, camera, scene), []).append((timestamp, str(tables.root / path)))
    for (name, camera, _), listed in sorted(frames.items()):
        listed.sort()
        times, paths = zip(*listed, strict=True)
        yield Clip(name, camera, paths, times, times[0])


def read_array(path: Path) -> Iterator[Any]:
    """The elements of a file's JSON array, one at a time (sample_data.json is over a gigabyte).

    Raises DataError for anything else, MissingPackageError without ijson.
    """
    requirements.require(["nuscenes"])
    import ijson

    try:
        with open(path, "rb") as file:
            if file.read(3) != codecs.BOM_UTF8:
                file.seek(0)
            if not file.peek().lstrip().startswith(b"["):
                raise DataError(f"{path}: not a JSON array")
            yield from ijson.items(file, "item", buf_size=BUFFER)
    except FileNotFoundError:
        raise DataError(f"{path} is missing: a NuScenes data set has it beside scene.json") from None
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: damaged or cut off ({str(error).splitlines()[0]:.80})") from None
