"""Data set layouts: how the files of a data set become videos. One module each, found by its name.

A layout's module has `EXPECTED`, the layout in words for error messages; `MARKERS`, the folders that its root holds;
`read(root) -> list[RawVideo]`; `track_file(video, path) -> TrackFile`, which knows from which number track files count;
and optionally `DOWNLOAD`: how to get the data set into the last of its `dataset.candidates`, as commands if possible.
"""

import importlib
import pkgutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from pixelplay.errors import ConfigError, DataError
from pixelplay.settings import CONFIG_DIR, alternatives, validate
from pixelplay.videos.layouts.raw import RawVideo, with_tracks
from pixelplay.videos.settings import SEVERAL, DatasetConfig

TRACKS = "test_tracks"  # folder of track files if dataset.tracks is null
SEARCH_DEPTH = 4  # folders below dataset.root in which the layout's own folders are looked for (Kaggle nests three)


def read_dataset(config: DatasetConfig) -> list[RawVideo]:
    """All videos of the data set, training videos first; nothing is decoded. Raises DataError or ConfigError.

    Those of a data set in parts are called after them: `ped2/Test001`.
    """
    if config.layout == SEVERAL:
        every = [replace(v, id=f"{name}/{v.id}") for name, part in _parts(config).items() for v in _of_part(name, part)]
        return sorted(every, key=lambda video: video.split != "train")
    layout, root = _layout(config.layout), find_root(config)
    videos = layout.read(root)
    for split in ("train", "test"):
        ids = [video.id for video in videos if video.split == split]
        if not ids:
            raise DataError(f"{root}: no {split} videos; expected layout:\n{layout.EXPECTED}")
        if twice := {i for i in ids if ids.count(i) > 1}:
            raise DataError(f"{root}: two {split} videos are called {min(twice)!r} (a folder and a file?); rename one")
    videos = with_tracks(videos, config.tracks or root / TRACKS, layout.track_file)
    if config.tracks is not None and not any(v.tracks and v.tracks.path.parent == config.tracks for v in videos):
        raise ConfigError(
            f"dataset.tracks={config.tracks}: no track file of a test video is there; name the folder that holds "
            "<video>.csv or <video>.txt, or null"
        )
    return videos


def roots(config: DatasetConfig) -> dict[str, Path]:
    """The folder of each part of a data set, by what its videos' ids begin with, such as `ped2/`; by "" the whole's."""
    if config.layout != SEVERAL:
        return {"": find_root(config)}
    return {f"{name}/": find_root(part) for name, part in _parts(config).items()}


def _parts(config: DatasetConfig) -> dict[str, DatasetConfig]:
    """The data sets that a data set consists of, each as its file in configs/dataset/ has it, in its own folder."""
    from omegaconf import OmegaConf

    if not config.parts:
        raise ConfigError(
            "dataset.parts names no data sets: 'dataset.parts={ped2: data/ped2, avenue: data/avenue}', for instance"
        )
    known = sorted(path.stem for path in (CONFIG_DIR / "dataset").glob("*.yaml") if path.stem != config.name)
    found = {}
    for name, root in config.parts.items():
        if name not in known:
            raise ConfigError(
                f"dataset.parts: {name!r} is no data set of configs/dataset/; {alternatives(name, known)}"
            )
        values = OmegaConf.to_container(OmegaConf.load(CONFIG_DIR / "dataset" / f"{name}.yaml"))
        part = validate(DatasetConfig, cast(dict[str, Any], values))
        found[name] = part if root is None else part.model_copy(update={"root": root})
    return found


def _of_part(name: str, part: DatasetConfig) -> list[RawVideo]:
    try:
        return read_dataset(part)
    except DataError as error:
        raise DataError(
            f"dataset.parts.{name}, where FOLDER is for dataset.parts={{{name}: FOLDER}}: {error}"
        ) from None


def find_root(config: DatasetConfig) -> Path:
    """The folder that holds the layout's own folders: dataset.root, or a candidate, or a folder below it."""
    layout = _layout(config.layout)
    # shells don't expand the ~ of dataset.root=~/data
    roots = [Path(root).expanduser() for root in ([config.root] if config.root is not None else config.candidates)]
    for root in filter(Path.is_dir, roots):
        found = _below(root, layout.MARKERS)
        if len(found) > 1:
            raise DataError(
                f"data set {config.name!r}: several are below {root}: {', '.join(map(str, found))}; "
                "name one with dataset.root=FOLDER"
            )
        if found:
            return found[0]
    tried = ", ".join(str(root) for root in roots) or "nowhere (dataset.candidates is empty)"
    missing = "no such folder" if not any(root.exists() for root in roots) else "no data set of this layout in"
    get = ""
    if hasattr(layout, "DOWNLOAD") and config.candidates:
        get = f"  where there is internet:  {layout.DOWNLOAD}\n"
        get += f"  then:                     dataset.root={config.candidates[-1]}\n"
    raise DataError(
        f"data set {config.name!r} not found: {missing}: {tried}\n{get}"
        f"  where it is already:      dataset.root=FOLDER; expected layout:\n{layout.EXPECTED}"
    )


def _below(root: Path, markers: tuple[str, ...]) -> list[Path]:
    """The folders that hold all `markers`, on the highest level that has one."""
    level = [root]
    for _ in range(SEARCH_DEPTH + 1):
        if found := [folder for folder in level if all((folder / marker).is_dir() for marker in markers)]:
            return found
        # a level with very many folders is footage, not the way to it
        below = (child for folder in level for child in folder.iterdir() if child.is_dir())
        level = sorted(child for child in below if not child.name.startswith((".", "__MACOSX")))[:64]
    return []


def _layout(name: str) -> ModuleType:
    names = [module.name for module in pkgutil.iter_modules(__path__) if module.name != "raw"]
    if name not in names:
        raise ConfigError(f"dataset.layout={name!r}: unknown layout; {alternatives(name, names)}")
    return importlib.import_module(f"{__name__}.{name}")
