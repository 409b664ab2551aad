"""Settings with weights by their contents: what makes them others, and what does not."""

from pathlib import Path
from typing import Any

import pytest

from pixelplay.backbones.settings import by_contents
from pixelplay.run.digests import Digests


def found(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    return by_contents(settings, Digests(folder / "digests"))


def with_backbone(file: object, **changes: object) -> dict[str, Any]:
    return {"stride": 2, "backbone": {"name": "timm:resnet18", "source": "hub", "file": file, **changes}}


def test_a_backbone_s_file_is_its_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("a.pt", "1"), ("b.pt", "1"), ("c.pt", "2")):
        (tmp_path / name).write_text(text)
    one, same, relative, other = (
        found(tmp_path, with_backbone(file)) for file in (str(tmp_path / "a.pt"), tmp_path / "b.pt", "b.pt", "c.pt")
    )
    assert one == same == relative != other
    (tmp_path / "a.pt").write_text("2")
    assert found(tmp_path, with_backbone("a.pt")) == other
    assert one["stride"] == 2


def test_a_backbone_is_its_name_and_weights_wherever_they_come_from(tmp_path: Path):
    (tmp_path / "a.pt").write_text("1")
    one = found(tmp_path, with_backbone(tmp_path / "a.pt"))
    assert found(tmp_path, with_backbone(tmp_path / "a.pt", source="in_domain")) == one
    assert found(tmp_path, with_backbone(tmp_path / "a.pt", name="timm:resnet50")) != one
    assert found(tmp_path, with_backbone(None)) != one
    own = [found(tmp_path, with_backbone(file, name="in_domain")) for file in (tmp_path / "a.pt", None)]
    assert own[0] == own[1]


def test_a_packaged_backbone_is_its_only_possible_contents_wherever_its_file_is(tmp_path: Path):
    (tmp_path / "copy.pth").write_text("not read")
    name = "packaged:tf_efficientnet_lite2"
    one = found(tmp_path, with_backbone(None, name=name))
    assert one["backbone"]["content"] == ["9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"]
    assert found(tmp_path, with_backbone(tmp_path / "copy.pth", name=name)) == one
    assert found(tmp_path, with_backbone(None)) != one


def test_a_videomae_s_folder_is_the_contents_of_its_files_and_a_hub_name_is_itself(tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for file in ("config.json", "preprocessor_config.json", "model.safetensors"):
            (tmp_path / name / file).write_text(file)
    one, two = ({"videomae": str(tmp_path / name)} for name in ("one", "two"))
    before = found(tmp_path, one)
    assert found(tmp_path, two) == before
    (tmp_path / "two/README.md").write_text("where it is from")
    assert found(tmp_path, two) == before
    for file in ("config.json", "model.safetensors"):
        (tmp_path / "two" / file).write_text("other")
        assert found(tmp_path, two) != before
        (tmp_path / "two" / file).write_text(file)
    assert found(tmp_path, two) == before
    for name in ("MCG-NJU/videomae-base", "in_domain"):
        assert found(tmp_path, {"videomae": name}) == {"videomae": name}


@pytest.mark.parametrize(
    "settings", [{}, {"backbone": 3}, {"backbone": {}}, {"videomae": 3}, {"backbone": {"file": 3}}]
)
def test_wrong_settings_are_left_to_who_checks_them(tmp_path: Path, settings: dict[str, Any]):
    assert set(found(tmp_path, settings)) == set(settings)
