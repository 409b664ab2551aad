"""Keys of earlier versions: wherever an old one stands, the error names the new one."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors.registry import check_settings
from pixelplay.errors import ConfigError
from pixelplay.renamed_keys import RENAMED, renamed
from pixelplay.scores import fusion_file
from pixelplay.settings import CONFIG_DIR, validate

DETECTORS = "detector=[videopatchcore,videomae_profile]"


def named(pattern: str) -> str:
    """A key of the pattern, in a run with DETECTORS."""
    detector = "videomae_profile" if "pretraining" in pattern or "crop" in pattern else "videopatchcore"
    return pattern.replace("detectors.*", f"detectors.{detector}").replace("**", "default").replace("*", "0")


OLD = [named(pattern) for pattern in RENAMED]
FORMS = ["{}=1", "+{}=1", "++{}=1", "~{}", "~{}=1"]


def present(old: str) -> str:
    new = renamed(old)
    assert new is not None
    return new


def node(values: Any, key: str) -> tuple[Any, str]:
    """The mapping that holds the dotted key, and the key's last name."""
    *path, last = key.split(".")
    for name in path:
        values = values[int(name) if isinstance(values, list) else name]
    return values, last


def refusal(override: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        check_settings(load_config([DETECTORS, override]).detectors)
    return str(error.value).splitlines()


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    changes = ("ablate.normalise=[{min_p:0.001}]", "ablate.smooth=[{polyorder:2}]")
    return load_config([DETECTORS, *changes]).model_dump(mode="json")


@pytest.fixture
def values(composed: dict[str, Any]) -> dict[str, Any]:
    return deepcopy(composed)


@pytest.mark.parametrize("old", OLD)
def test_the_new_key_is_there_and_the_old_one_is_not(old: str, values: dict[str, Any]):
    parent, last = node(values, present(old))
    assert last in parent
    for name in old.split("."):
        if isinstance(values, dict) and name not in values:
            return
        values = values[int(name) if isinstance(values, list) else name]
    pytest.fail(f"{old} is still there")


@pytest.mark.parametrize("old", OLD)
def test_an_old_key_on_the_command_line_is_refused_by_the_new_one(old: str):
    of_a_detector = old.startswith("detectors.") and ".settings" not in old  # found once Hydra has read everything
    for form in ["{}=1"] if of_a_detector else FORMS:
        assert refusal(form.format(old)) == [f"{old}: renamed to {present(old)}"]


@pytest.mark.parametrize("form", FORMS)
def test_an_old_key_of_a_detector_is_refused_in_every_form(form: str):
    old = "detectors.videopatchcore.training.bank.hnsw.search"
    assert refusal(form.format(old)) == [f"{old}: renamed to {present(old)}"]


@pytest.mark.parametrize("old", OLD)
def test_an_old_key_in_a_file_is_refused_by_the_new_one_and_by_nothing_else(old: str, values: dict[str, Any]):
    parent, last = node(values, present(old))
    value = parent[last]
    if present(old).partition(".")[0] == old.partition(".")[0]:  # else the section would first miss it
        del parent[last]
    *path, last = old.split(".")
    parent = values
    for name in path:
        parent = parent[int(name)] if isinstance(parent, list) else parent.setdefault(name, {})
    parent[last] = value
    with pytest.raises(ConfigError) as error:
        check_settings(validate(Config, values).detectors)
    lines = str(error.value).splitlines()
    known = [line for line in lines if ": missing" not in line]
    assert all("renamed to" in line for line in known)
    assert any(old.startswith(line.partition(": renamed to")[0]) for line in known)


@pytest.mark.parametrize("old", [old for old in OLD if old.startswith("fusion.")])
def test_an_old_key_in_a_fusion_file_is_refused_by_the_new_one(old: str, tmp_path: Path):
    fusion = load_config([]).fusion.model_dump(mode="json")
    parent, last = node({"fusion": fusion}, old)
    parent[last] = 1
    (tmp_path / "f.yaml").write_text(yaml.safe_dump(fusion))
    with pytest.raises(ConfigError) as error:
        fusion_file.read(tmp_path / "f.yaml")
    within = old.removeprefix("fusion.")
    assert f"fusion_file={tmp_path / 'f.yaml'}: {within}: renamed to {present(old)}" in str(error.value).splitlines()


def test_keys_that_were_not_renamed_have_no_new_name():
    assert [renamed(key) for key in ("seed", "pseudo.patch.speed", "detectors.a.scoring.settings", "x")] == [None] * 4
    assert renamed("detectors.a.settings.bank.hnsw.links") == "detectors.a.training.bank.hnsw.M"


def test_an_algorithm_of_ones_own_may_have_a_setting_called_like_an_old_key():
    own = "{algorithm:mine,frames:null,training:{crop:1},scoring:{local:2}}"
    config = load_config([f"+detectors.mine={own}", "detectors.mine.training.crop=3"])
    assert (config.detectors["mine"].training, config.detectors["mine"].scoring) == ({"crop": 3}, {"local": 2})


def test_the_changelog_has_the_whole_table():
    text = (CONFIG_DIR.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    assert [row for row in RENAMED.items() if f"| `{row[0]}` | `{row[1]}` |" not in text] == []
