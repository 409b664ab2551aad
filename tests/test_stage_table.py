"""For every key of the configuration: which stages run again when it changes.

The keys come from the configuration itself, so a new key that the table does not cover fails the test. Stages that come
after these run again as well, since their keys chain (see test_stage.py).
"""

import re
from collections.abc import Iterator
from copy import deepcopy
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.run.files import RunFiles
from pixelplay.run.stage import as_json
from pixelplay.stages import status
from pixelplay.videos.index import Index
from pixelplay.videos.truth import VideoTruth, save_truth
from pixelplay.videos.video import Video

TABLE = {  # the first pattern that fits decides
    "experiment": "",  # another experiment has other folders
    "run": "",
    "name": "",
    "export": "",
    "seed": "prepare extract train",
    "checkpoints_of": "extract train",
    "seeds": "train score",
    "device": "",
    "format": "",  # of export.py, which is no stage
    "event": "",  # of accept.py
    "source": "",  # of infer.py, neither
    "view": "",
    "backend": "",
    "checkpoint": "",
    "viz.*": "",
    "online.*": "",
    "workers": "",
    "step": "",
    "paths.*": "",
    "weights.yolo": "detect extract train",  # a file changes where feature maps come from, too
    "weights.backbone": "extract train",
    "weights.encoder.*": "extract",  # and detectors take theirs by interpolation, as of all weights: see detectors.*
    "weights.*": "",
    "dataset.root": "",  # places decide nothing, contents do
    "dataset.candidates": "",
    "dataset.noise_share": "prepare evaluate",
    "dataset.*": "prepare",
    "restore.save_images": "",  # prepare looks at it beside the settings: the frames stay the same
    "restore.noise_above": "prepare evaluate explain report",
    "restore.*": "prepare",
    "pseudo.*": "prepare",
    "objects.method": "",  # motion is what auto means without weights
    "objects.yolo.*": "",  # no run of motion boxes
    "objects.motion.*": "detect train",
    "objects.features.source": "",  # a backbone is what auto means for moving blobs
    "objects.features.batch_size": "",
    "objects.features.*": "extract train",
    "objects.flow.*": "extract train",
    "objects.tubes.*": "",  # a detector's by interpolation
    "objects.tracks.*": "extract train",
    "trainer.loggers*": "",
    "wandb.*": "",
    "trainer.precision": "extract train",
    "trainer.*": "train",
    "detectors.*.scoring*": "score",
    "detectors.videopatchcore.training.backbone.source": "",  # whether a download is allowed
    "detectors.videopatchcore.training.backbone.file": "",  # no file of an encoder trained in the run
    "detectors.*": "train",
    "fusion.external": "fuse",  # by the names of the files; their contents are looked at beside the settings
    "fusion.*": "fuse",
    "fusion_file": "",  # where fusion was read from
    "ablate.metric": "fuse ablate",  # the choice of members has them, too
    "ablate.n_bootstrap": "fuse ablate",
    "ablate.seed": "fuse ablate",
    "ablate.*": "ablate",
    "sweep.*": "",
    "events.thresholds.*": "events evaluate",  # which measures all of them
    "events.zones": "",  # by the contents of the file, looked at beside the settings
    "events.sinks": "",  # where events go decides nothing
    **{f"events.{name}.*": "" for name in ("delivery", "jsonl", "csv", "webhook", "mqtt")},
    "events.*": "events",
    "evaluate.*": "evaluate",
    "report.compare": "report",
    "report.*": "explain",  # pictures; the page follows them
    "show.*": "",
    "submit.*": "",
    "mine.*": "",
    "distribution.*": "",
}
DETECTORS = (
    *("conv_ae", "denoising_ae", "st_ae_small", "videopatchcore_small", "temporal_mae_small"),
    *("videomae_reconstruction_small", "videomae_profile_small", "object_motion", "object_appearance"),
)
LEFT_OUT = re.compile(
    r"(experiment|run|name|dataset\.name)$|paths\."  # they name the folders, and another run is all to be done
    r"|dataset\.heldout\.|.*\.algorithm$"  # the index refuses to go with the one; the other makes it another detector
)
AUTO = {"objects.method": "motion", "objects.features.source": "backbone"}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The experiment `sample` with every detector, and an index of three videos, as if `prepare` had run."""
    monkeypatch.chdir(tmp_path)
    detectors = f"detector=[{','.join(DETECTORS)}]"
    config = load_config(["experiment=sample", "dataset.root=data", "restore.save_images=true", detectors])
    videos = [
        Video(split, split, np.arange(40), (16, 16), Path("cache"), noise=np.zeros(40, np.float32))
        for split in ("train", "test", "pseudo")
    ]
    train, test, pseudo = ([video] for video in videos)
    files = RunFiles.of(config)
    index = Index(config.dataset.name, "a", "b", config.dataset.heldout, train, test, pseudo_key="c", pseudo=pseudo)
    index.save(files.index)
    for split in ("test", "pseudo"):
        labels = np.arange(40).astype(np.uint8) % 2
        save_truth(files.truth, split, [VideoTruth(split, np.arange(40), labels)])
    return config


def leaves(value: Any, name: str = "") -> Iterator[str]:
    """Dotted names of all values of a configuration that are not mappings; an empty mapping is one."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{name}.{key}" if name else key)
    else:
        yield name


def changed(config: Config, *keys: str) -> Config:
    """A copy with other values, which need not be possible ones: nothing but settings is looked at."""
    copy = deepcopy(config)
    for key in keys:
        *path, last = key.split(".")
        node: Any = copy
        for part in path:
            node = node[part] if isinstance(node, dict) else getattr(node, part)
        values = node if isinstance(node, dict) else node.__dict__
        values[last] = AUTO[key] if key in AUTO else other(values[last])
    return copy


def other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, list):
        return [*value, *value[:1]] if value else [Path("other.csv")]
    return {"other": 1} if isinstance(value, dict) else Path("other") if isinstance(value, Path) else "other"


def settings_of(config: Config) -> dict[str, list[Any]]:
    """By stage: the settings of its tasks."""
    return {name: [as_json(task.settings) for task in stage.tasks(config)] for name, stage in status.STAGES.items()}


def stages_changed(before: dict[str, list[Any]], config: Config) -> set[str]:
    after = settings_of(config)
    return {stage for stage in before if before[stage] != after[stage]}


def expected(key: str) -> set[str]:
    pattern = next((one for one in TABLE if fnmatchcase(key, one)), None)
    assert pattern is not None, f"{key}: which stages run again when it changes? Add it to TABLE"
    return set(TABLE[pattern].split())


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of values that are not possible
def test_a_changed_setting_is_part_of_exactly_the_stages_that_depend_on_it(config: Config):
    before, wrong = settings_of(config), {}
    keys = [key for key in leaves(config.model_dump()) if not LEFT_OUT.match(key)]
    idle = [key for key in keys if not expected(key)]
    if settings_of(changed(config, *idle)) == before:  # else it is told which of them changes something
        keys = [key for key in keys if key not in idle]
    of_detectors = [key for key in keys if key.startswith("detectors.")]
    for stages in {frozenset(expected(key)) for key in of_detectors}:  # none changes other stages of other detectors
        found = stages_changed(before, changed(config, *(key for key in of_detectors if expected(key) == stages)))
        assert found == stages
    alone = {name: config.model_copy(update={"detectors": {name: one}}) for name, one in config.detectors.items()}
    settings = {name: settings_of(one) for name, one in alone.items()}
    for key in keys:
        name = key.split(".")[1] if key in of_detectors else None
        own, known = (alone[name], settings[name]) if name else (config, before)
        found = stages_changed(known, changed(own, key))
        if found != expected(key):
            wrong[key] = f"changes {sorted(found)}, expected {sorted(expected(key))}"
    assert wrong == {}
