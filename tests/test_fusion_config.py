"""The settings of a fusion: what a member leaves open is its default's, files join by name, and a fusion as a file."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from pixelplay.cli import load_config
from pixelplay.errors import ConfigError
from pixelplay.scores import fusion_file


def refusal(*overrides: str) -> str:
    with pytest.raises(ConfigError) as error:
        load_config(list(overrides))
    return str(error.value)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.csv"
    path.touch()
    return path


# --- members --------------------------------------------------------------------------------------------------------


def test_what_a_member_does_not_say_is_the_default_s() -> None:
    fusion = load_config(["fusion.default.smooth.sigma=3.0", "+fusion.members={a/mean:{weight:2.0}}"]).fusion
    member = fusion.members["a/mean"]
    assert member == fusion.default.model_copy(update={"weight": 2.0})
    assert member.smooth.sigma == 3.0


def test_a_member_may_change_a_single_nested_key() -> None:
    fusion = load_config(["+fusion.members.a.normalise.clip=[-1.0,4.0]"]).fusion
    assert fusion.members["a"].normalise.clip == [-1.0, 4.0]
    assert fusion.members["a"].normalise.model_copy(update={"clip": None}) == fusion.default.normalise
    assert fusion.members["a"].smooth == fusion.default.smooth


def test_an_external_member_takes_the_rest_from_the_external_default(old: Path) -> None:
    overrides = ["fusion.default.smooth.sigma=3.0", "+fusion.members={old:{weight:2.0},a:{weight:2.0}}"]
    fusion = load_config([f"fusion.external=[{old}]", *overrides]).fusion
    assert fusion.external_default.normalise.method == "robust_z"
    assert fusion.external_default.smooth == fusion.default.smooth
    assert fusion.members["old"] == fusion.external_default.model_copy(update={"weight": 2.0})
    assert fusion.members["a"].normalise.method == "calibrated"


def test_the_source_document_s_post_processing_is_as_it_says() -> None:
    members = load_config(["fusion=source"]).fusion.members
    found = {
        name: (
            m.weight,
            m.normalise.method,
            (m.normalise.low, m.normalise.high) if m.normalise.method == "percentile" else None,
            m.smooth.method,
            m.smooth.window if m.smooth.method == "moving_average" else None,
        )
        for name, m in members.items()
    }
    assert found == {
        "conv_ae": (1.0, "minmax", None, "moving_average", 5),
        "denoising_ae": (1.0, "percentile", (1.0, 100.0), "moving_average", 15),
        "st_ae": (1.0, "minmax", None, "moving_average", 5),
        "videopatchcore": (1.0, "minmax", None, "none", None),
    }
    assert {m.normalise.scope for m in members.values()} == {"all"}


def test_the_source_document_s_fusion_puts_every_member_between_0_and_1(old: Path) -> None:
    detectors = "detector=[source,videomae_reconstruction,videomae_profile]"
    config = load_config(["experiment=pixelplay26", detectors, "fusion=source", f"fusion.external=[{old}]"])
    fusion = config.fusion
    members = {name: fusion.members.get(name, fusion.default) for name in config.detectors}
    members["old"] = fusion.members.get("old", fusion.external_default)
    assert {"videomae_reconstruction", "videomae_profile", "st_ae"} < members.keys()
    for name, member in members.items():
        method, high = member.normalise.method, member.normalise.high
        assert method == "minmax" or (method == "percentile" and high == 100.0), name


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["+fusion.members.a.normalise.methd=rank"], "fusion.members.a.normalise.methd: unknown key; did you mean 'm"),
        (["+fusion.members.a.weight=-1.0"], "fusion.members.a.weight=-1.0: Input should be greater than or equal to 0"),
        (["+fusion.members.a.weight=inf"], "fusion.members.a.weight=inf: Input should be a finite number"),
        (["+fusion.members.a=3"], "fusion.members.a=3: Input should be a valid dictionary"),
        (["fusion.members.a.weight=1.0"], "(to add one: +fusion.members.a.weight=…)"),
        (["fusion.default.normalise.clip=[4.0,-1.0]"], "the first value, 4, must be below the second, -1"),
        (
            ["fusion.default.normalise.clip=[-1.0,inf]"],
            "clip.1=inf: Input should be a finite number",
        ),
        (["fusion.default.normalise.clip=[1.0]"], "at least 2 items"),
        (["fusion.default.normalise.scope=test"], "Input should be 'all' or 'video'"),
        (["fusion.default.smooth.decay=1.0"], "fusion.default.smooth.decay=1.0: Input should be less than 1"),
        (["fusion.default.smooth.method=savitzky_golay", "fusion.default.smooth.window=3"], "window must be above 3"),
        (["fusion.method=sum"], "'weighted_mean', 'power_mean', 'maximum', 'product' or 'rank_mean'"),
        (["fusion.power=0.0"], "fusion.power=0.0: Input should be greater than 0"),
        (
            ["fusion.corrupted_frames.weight=1.5"],
            "fusion.corrupted_frames.weight=1.5: Input should be less than or equal to 1",
        ),
    ],
)
def test_impossible_settings_are_refused_by_their_key(overrides: list[str], complaint: str) -> None:
    assert complaint in refusal(*overrides)


def test_a_mistake_in_the_default_is_told_once_and_not_again_for_every_member(old: Path) -> None:
    message = refusal("fusion.default.smooth.sigma=0.0", "+fusion.members={a:{weight:2.0},b:{}}")
    assert message == "fusion.default.smooth.sigma=0.0: Input should be greater than 0"


# --- external files -------------------------------------------------------------------------------------------------


def test_an_external_file_that_is_not_there_is_named_before_any_work_starts(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        assert f"no such file: {path}" in refusal(f"fusion.external=[{path}]")


def test_external_files_of_one_name_are_refused(old: Path) -> None:
    (old.parent / "more").mkdir()
    (old.parent / "more/old.csv").touch()
    message = refusal(f"fusion.external=[{old},{old.parent}/more/old.csv]")
    assert f"{old} and {old.parent}/more/old.csv would both be called 'old'; rename one" in message


@pytest.mark.parametrize(("name", "owner"), [("conv_ae", "that of a detector of this run"), ("fused", "the fusion's")])
def test_an_external_file_may_not_take_another_stream_s_name(tmp_path: Path, name: str, owner: str) -> None:
    (tmp_path / f"{name}.csv").touch()
    message = refusal("detector=[conv_ae]", f"fusion.external=[{tmp_path}/{name}.csv]")
    assert f"{name}.csv would be called {name!r}" in message
    assert owner in message


# --- a fusion as a file ---------------------------------------------------------------------------------------------


def test_a_fusion_written_as_a_file_is_read_as_the_same(old: Path, tmp_path: Path) -> None:
    overrides = ["fusion=source", f"fusion.external=[{old}]", "fusion.default.normalise.clip=[-1.0,4.0]"]
    fusion = load_config([*overrides, "+fusion.members={conv_ae/mean:{weight:1e-3}}"]).fusion
    path = tmp_path / "best.yaml"
    path.write_text(fusion_file.to_text(fusion))
    assert fusion_file.read(path) == fusion
    config = load_config([f"fusion_file={path}"])
    assert config.fusion == fusion
    assert config.fusion_file == path


def test_the_file_takes_the_place_of_the_experiment_s_fusion(tmp_path: Path) -> None:
    path = tmp_path / "best.yaml"
    path.write_text(fusion_file.to_text(load_config(["fusion.method=maximum"]).fusion))
    fusion = load_config(["experiment=pixelplay26", f"fusion_file={path}"]).fusion
    assert (fusion.method, fusion.members) == ("maximum", {})


def test_a_file_may_be_as_brief_about_its_members_as_configs_are(tmp_path: Path) -> None:
    path = tmp_path / "best.yaml"
    path.write_text(fusion_file.to_text(load_config([]).fusion).replace("members: {}", "members: {a: {weight: 1e-3}}"))
    fusion = fusion_file.read(path)
    assert fusion.members["a"] == fusion.default.model_copy(update={"weight": 0.001})


@pytest.mark.parametrize("override", ["fusion.method=maximum", "fusion=source", "+fusion.members={a:{weight:2.0}}"])
def test_what_would_have_no_effect_beside_the_file_is_refused(tmp_path: Path, override: str) -> None:
    path = tmp_path / "best.yaml"
    path.write_text(fusion_file.to_text(load_config([]).fusion))
    message = refusal(f"fusion_file={path}", override)
    assert message.startswith(f"{override} would have no effect: fusion_file={path} replaces all of fusion")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "method: missing"),
        (b"- method", "must have the keys of fusion: method, power"),
        (b"method: [", "not the YAML of a fusion"),
        (b"\xff\xfe\x00", "not the YAML of a fusion"),
        (b"method: maximum\nmethod: product", "not the YAML of a fusion"),
        (b"method: !!python/object/apply:os.system ['touch touched']", "not the YAML of a fusion"),
        (b"method: ${oc.env:HOME}", "method='${oc.env:HOME}': Input should be 'weighted_mean'"),
        (b"methd: maximum", "methd: unknown key; did you mean 'method'?"),
        (b"method: maximum", "default: missing"),
        (b"1: 2", "1: unknown key"),
    ],
)
def test_a_file_that_is_no_fusion_is_refused_by_its_name_and_stays_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("best.yaml").write_bytes(content)
    message = refusal("fusion_file=best.yaml")
    assert complaint in message
    assert all(line.startswith("fusion_file=best.yaml: ") for line in message.splitlines() if "YAML" not in message)
    assert [path.name for path in tmp_path.iterdir()] == ["best.yaml"]


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        assert refusal(f"fusion_file={path}").startswith(f"fusion_file={path}: can't be read: ")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + of] * 9)}]\n" for of, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (BOMB, "line 1: anchors (&) and aliases (*) are not allowed"),
        ("members: &m {a: {weight: 1.0}}\ncomposites: *m\n", "line 1: anchors (&) and aliases (*) are not allowed"),
        ("power: " + "[" * 100_000, "line 1: nested more than 16 levels deep"),
        ("".join(f"{' ' * n}a:\n" for n in range(300)), "line 17: nested more than 16 levels deep"),
        ("power: '" + "${a:" * 20_000 + "'", "nested too deeply"),
        ("power: " + "9" * 5000, "not the YAML of a fusion: "),
        ("#" * 300_000, "larger than 256 KiB"),
    ],
    ids=["aliases", "alias", "brackets", "indents", "interpolations", "digits", "size"],
)
def test_a_hostile_fusion_file_is_refused_in_words_and_in_a_moment(text: str, complaint: str, tmp_path: Path):
    path = tmp_path / "fusion.yaml"
    path.write_text(text)
    start = time.process_time()
    with pytest.raises(ConfigError) as refused:
        fusion_file.read(path)
    assert time.process_time() - start < 5.0  # seconds
    message = str(refused.value)
    assert message.startswith(f"fusion_file={path}: ") and complaint in message and len(message) < 1000


def test_a_fusion_file_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "fusion.yaml")
    with pytest.raises(ConfigError, match="not a regular file"):
        fusion_file.read(tmp_path / "fusion.yaml")


def test_mutated_fusion_files_are_read_or_refused_by_name(tmp_path: Path):
    path, rng = tmp_path / "fusion.yaml", np.random.default_rng(0)
    good = fusion_file.to_text(load_config([]).fusion).encode()
    pieces = [
        b"\x00",
        b"\xff",
        b"\x1e",
        b"&a ",
        b"*a",
        b"[",
        b"{",
        b"!!python/object:os.system ",
        b"- ",
        b"? ",
        b"${x}",
    ]
    pieces += [b"9" * 4301, b".nan", b"1e400", b"null", b"2026-13-01", b"'", b"<<: ", b"0x", b"1_0", b"\n", b"${x}"]
    read = 0
    for _ in range(80):
        at = int(rng.integers(len(good)))
        piece = pieces[rng.integers(len(pieces))]
        path.write_bytes(good[:at] + piece + good[at + int(rng.integers(0, 8)) :])
        try:
            fusion_file.read(path)
            read += 1
        except ConfigError as error:
            assert str(path) in str(error) and len(str(error)) < 20_000
    assert read < 40


def test_how_a_detector_combines_its_streams_is_refused_where_a_composite_does_that() -> None:
    power = "detectors.videopatchcore.scoring.power=3"
    options = ["experiment=ped2", "detector=[source]", power]
    assert load_config(options).detectors["videopatchcore"].scoring["power"] == 3
    with pytest.raises(ConfigError, match=r"scoring\.power=3 would have no effect: fusion\.composites\.videopatchcore"):
        load_config([*options, "fusion=source"])
    load_config([*options, "fusion=source", "~fusion.composites.videopatchcore"])
    load_config([*options[:2], "detectors.videopatchcore.scoring.stride=3", "fusion=source"])
