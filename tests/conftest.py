"""Fixtures that several test files share."""

import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
import hypothesis
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from tests.footage import write_frames

if TYPE_CHECKING:
    from tests.fitted import Fitted

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile(
    "busy", hypothesis.settings(), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")

# Overrides that name the folders of a test: no other value depends on them before interpolation.
FOLDER = re.compile(r"(paths\.(outputs|checkpoints|submissions|cache)|dataset\.root)=")


@pytest.fixture(scope="session", autouse=True)
def composed_once() -> Iterator[None]:
    """Has Hydra compose each configuration once, though every stage of every test asks for it: it takes 0.15 s."""
    compose, parser = hydra.compose, OverridesParser.create()

    @lru_cache(maxsize=128)
    def composed(name: str, overrides: tuple[str, ...]) -> DictConfig:
        return compose(name, list(overrides))

    def cached(name: str, overrides: Sequence[str] = ()) -> DictConfig:
        config = composed(name, tuple(one for one in overrides if not FOLDER.match(one)))
        folders = parser.parse_overrides([one for one in overrides if FOLDER.match(one)])
        config = deepcopy(config) if folders else config
        for folder in folders:
            OmegaConf.update(config, folder.key_or_group, folder.value())
        return config

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hydra, "compose", cached)
        yield


@pytest.fixture(scope="session")
def yolo_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small YOLO that finds something everywhere; to be read, not changed."""
    from tests.test_yolo import random_weights  # most tests need none of what this imports

    return random_weights(tmp_path_factory.mktemp("weights") / "random.pt", bias=-1.0)


@pytest.fixture
def small_folder(tmp_path: Path) -> Path:
    """A data set of the layout `folder`: three training videos, two test videos with gaps, labels for one of them."""
    root = tmp_path / "data"
    for i, name in enumerate(("01", "02", "03")):
        write_frames(root / "train" / name, range(20), seed=i)
    write_frames(root / "test/01", [5, 6, 8, 9, 12], seed=3)
    write_frames(root / "test/02", range(3), seed=4)  # shorter than any detector's window
    (root / "test_labels").mkdir()
    (root / "test_labels/01.csv").write_text("frame,label\n5,0\n6,1\n8,1\n9,0\n12,0\n")
    return root


@pytest.fixture
def small_run(small_folder: Path, tmp_path: Path) -> list[str]:
    """Overrides of a run on `small_folder` that writes below the test's own folder."""
    paths = [f"paths.{name}={tmp_path / name}" for name in ("outputs", "checkpoints", "submissions", "cache")]
    run = ["experiment=folder", f"dataset.root={small_folder}", "detector=conv_ae_tiny"]
    small = ["detectors.conv_ae.training.window=4", "dataset.heldout.gap=8"]  # for videos of 20 frames
    return [*run, *small, "device=cpu", "restore=tiny", "pseudo=none", *paths]


@pytest.fixture(scope="session")
def patchcore_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with footage in which all stages have run with VideoPatchCore."""
    from tests.patchcore import remember  # most tests need none of what this imports

    folder = tmp_path_factory.mktemp("patchcore")
    remember(folder)
    return folder


@pytest.fixture
def remembered(patchcore_run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`patchcore_run`, as the working folder."""
    monkeypatch.chdir(patchcore_run)
    return patchcore_run


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> "Callable[[str], Fitted]":
    """The detectors of `tests.fitted.CASES` by name, each fitted once."""
    from tests.fitted import Fitted, config_of, random_weights  # as above

    weights = random_weights(tmp_path_factory.mktemp("weights"))
    return cache(lambda name: Fitted(name, config_of(name, weights), tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="session")
def reported_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all stages have run with two autoencoders; to be copied, not changed."""
    from tests.reports import run_all, tiny  # as above

    folder = tmp_path_factory.mktemp("reported")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_all(tiny())
    return folder


@pytest.fixture
def reported(reported_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `reported_run`, as the working folder."""
    for path in reported_run.iterdir():
        shutil.copytree(path, tmp_path / path.name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def finished(reported_run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`reported_run` itself, as the working folder of a test that only reads it."""
    monkeypatch.chdir(reported_run)
    return reported_run


@pytest.fixture
def listener() -> Iterator[tuple[int, list[object]]]:
    """A port of this machine, and who has connected to it."""
    visits: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, address = server.accept()
                except OSError:
                    return
                visits.append(address)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], visits
        server.shutdown(socket.SHUT_RDWR)
