"""NuScenes (Caesar et al., CVPR 2020): scenes and cameras of its JSON tables, key frames and sweeps.

A table is a JSON array of records that refer to each other by token: sample_data (a file and its time) to its sample
(a moment) to its scene, and by its calibrated_sensor to its sensor. sample_data.json of the whole data set has 2.6
million records and over a gigabyte: it is read in pieces.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pixelplay.errors import ConfigError, DataError
from pixelplay.mining.clips import Clip
from pixelplay.mining.scenes import require_found, wanted
from pixelplay.mining.settings import MineConfig

PIECE = 1 << 20  # characters read at a time
LONGEST_RECORD = 1 << 24  # characters: a file with a longer one is no table
BEFORE = {"[": re.compile(r"\s*\[\s*"), ",": re.compile(r"\s*,\s*")}  # an element
AFTER = {"[": re.compile(r"\s*\[\s*\]\s*\Z"), ",": re.compile(r"\s*\]\s*\Z")}  # the last one


@dataclass(frozen=True)
class Tables:
    """`folder` holds the tables; file names in them start at `root`."""

    folder: Path
    root: Path

    def records(self, name: str, *fields: str) -> Iterator[tuple[Any, ...]]:
        """These fields of each record of a table; raises DataError that names the table and the record."""
        path = self.folder / f"{name}.json"
        for number, record in enumerate(read_array(path), start=1):
            try:
                yield tuple(record[field] for field in fields)
            except (KeyError, TypeError):
                raise DataError(f"{path}, record {number}: it lacks one of {', '.join(fields)}") from None


def find_tables(source: Path, version: str | None) -> Tables | None:
    """The tables below a NuScenes folder, or in it; None where there are none. Raises ConfigError for several."""
    if version is not None:
        if not (source / version / "scene.json").is_file():
            raise ConfigError(f"mine.nuscenes.version={version}: {source / version / 'scene.json'} is no file")
        return Tables(source / version, source)
    if (source / "scene.json").is_file():
        return Tables(source, source.parent)
    found = sorted(path.parent for path in source.glob("*/scene.json"))
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise ConfigError(f"{source}: tables of several versions ({names}): name one with mine.nuscenes.version=")
    return Tables(found[0], source) if found else None


def read_scenes(tables: Tables, config: MineConfig) -> Iterator[Clip]:
    """Each wanted scene's cameras, in the order of their names, frames by time. Raises DataError for damaged tables."""
    scene_of, names = _scenes_of_samples(tables, config)
    camera_of = _cameras_of_sensors(tables, config)
    frames: dict[tuple[str, str], list[tuple[int, str]]] = {}
    fields = ("sample_token", "calibrated_sensor_token", "is_key_frame", "timestamp", "filename")
    for sample, sensor, is_key_frame, timestamp, filename in tables.records("sample_data", *fields):
        if sensor not in camera_of or sample not in scene_of:
            missing, table = (sensor, "calibrated_sensor") if sensor not in camera_of else (sample, "sample")
            raise DataError(f"{tables.folder / 'sample_data.json'}: it refers to {missing}, which {table}.json lacks")
        scene, camera = scene_of[sample], camera_of[sensor]
        if scene is None or camera is None or (config.nuscenes.frames == "key_frames" and not is_key_frame):
            continue
        if type(timestamp) is not int:
            raise DataError(
                f"{tables.folder / 'sample_data.json'}: timestamp {timestamp!r:.40} of {filename!r:.60} is no number"
            )
        frames.setdefault((scene, camera), []).append((timestamp, _inside(tables, filename)))
    for (token, camera), listed in sorted(frames.items(), key=lambda item: (names[item[0][0]], item[0][1])):
        listed.sort()
        yield Clip(names[token], camera, tuple(name for _, name in listed), tuple(time for time, _ in listed))


def _scenes_of_samples(tables: Tables, config: MineConfig) -> tuple[dict[str, str | None], dict[str, str]]:
    """Token of each sample's scene, None where the scene is not wanted; and the scenes' names by token."""
    names = {token: str(name) for token, name in tables.records("scene", "token", "name")}
    require_found("scenes", config.scenes, list(names.values()))
    chosen = {token for token, name in names.items() if wanted(name, config.scenes)}
    scene_of: dict[str, str | None] = {}
    for token, scene in tables.records("sample", "token", "scene_token"):
        if scene not in names:
            raise DataError(
                f"{tables.folder / 'sample.json'}: sample {token} is of scene {scene}, which scene.json lacks"
            )
        scene_of[token] = scene if scene in chosen else None
    return scene_of, names


def _cameras_of_sensors(tables: Tables, config: MineConfig) -> dict[str, str | None]:
    """Channel of each calibrated sensor, such as CAM_FRONT; None for what is no camera or not wanted."""
    sensors = {
        token: (str(channel), modality)
        for token, channel, modality in tables.records("sensor", "token", "channel", "modality")
    }
    cameras = [channel for channel, modality in sensors.values() if modality == "camera"]
    require_found("cameras", config.cameras, cameras)
    camera_of: dict[str, str | None] = {}
    for token, sensor in tables.records("calibrated_sensor", "token", "sensor_token"):
        if sensor not in sensors:
            raise DataError(
                f"{tables.folder / 'calibrated_sensor.json'}: it refers to {sensor}, which sensor.json lacks"
            )
        channel, modality = sensors[sensor]
        camera_of[token] = channel if modality == "camera" and wanted(channel, config.cameras) else None
    return camera_of


def _inside(tables: Tables, filename: str) -> str:
    """A file's path; raises DataError for one that leads out of the data set."""
    path = PurePosixPath(str(filename))
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"{tables.folder / 'sample_data.json'}: filename {filename!r} leads out of {tables.root}")
    return str(tables.root / path)


def read_array(path: Path) -> Iterator[Any]:
    """The elements of a file that holds a JSON array, one at a time. Raises DataError for anything else."""
    decoder, mark = json.JSONDecoder(), "["  # what stands before the next element
    try:
        with open(path, encoding="utf-8-sig") as file:
            text, at = file.read(PIECE), 0
            while True:
                start = BEFORE[mark].match(text, at)
                try:
                    value, at = decoder.raw_decode(text, start.end() if start else len(text))
                except json.JSONDecodeError:  # the rest of the record is in the next piece, or the array ends here
                    piece = "" if len(text) - at > LONGEST_RECORD else file.read(PIECE)
                    if not piece:
                        break
                    text, at = text[at:] + piece, 0
                    continue
                yield value
                mark = ","
    except FileNotFoundError:
        raise DataError(f"{path} is missing: a NuScenes data set has it beside scene.json") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: no UTF-8 ({error.reason} at byte {error.start})") from None
    if not AFTER[mark].match(text, at):
        raise DataError(f"{path}: no JSON array, or damaged or cut off at {text[at:][:60]!r}")
