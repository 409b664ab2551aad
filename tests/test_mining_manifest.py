"""Manifests of clips: from NuScenes' tables, from folders and videos; and what is wrong with one, by line."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.footage import encoded, picture, write_frames, write_video
from tests.mining import lines
from tests.nuscenes import START, SWEEP, NuScenes
from tests.odd_images import tiff

from pixelplay import requirements
from pixelplay.cli import load_config
from pixelplay.errors import ConfigError, DataError, MissingArtifactError, MissingPackageError
from pixelplay.mining import files, nuscenes
from pixelplay.mining.clips import Clip, count_clips, parse_clip, read_clips
from pixelplay.mining.manifest import cut

MINE = load_config([]).mine


def listed(folder: Path, *overrides: str) -> list[dict]:
    """The clips that step=manifest lists with these overrides."""
    files.run(load_config(["step=manifest", f"mine.folder={folder}", *overrides]))
    return lines(folder / "clips_manifest.jsonl")


def by_scene(clips: list[dict]) -> dict[tuple[str, str], int]:
    pairs = [(clip["scene"], clip["camera"]) for clip in clips]
    return {pair: pairs.count(pair) for pair in dict.fromkeys(pairs)}


# --- NuScenes --------------------------------------------------------------------------------------------------------


@pytest.fixture
def driving(tmp_path: Path) -> NuScenes:
    return NuScenes(tmp_path / "nuscenes").write()


def test_clips_of_nuscenes_are_cut_per_scene_and_camera_in_time_and_scenes_have_all(driving: NuScenes, tmp_path: Path):
    """40 frames make clips from 0, 16 and 24; 28 from 0 and 12; 10 one that is padded."""
    clips = listed(tmp_path / "out", f"mine.source={driving.root}")
    each = {"scene-0061": 3, "scene-0103": 2, "scene-0553": 1}
    assert by_scene(clips) == {(scene, camera): n for scene, n in each.items() for camera in driving.cameras}
    assert all(list(clip) == ["scene", "camera", "frames", "timestamps", "start"] for clip in clips)
    first = {(clip["scene"], clip["camera"]): clip["timestamps"][0] for clip in reversed(clips)}
    assert all(clip["start"] == first[clip["scene"], clip["camera"]] for clip in clips)
    last = clips[2]
    assert last["frames"] == [str(driving.root / driving.file("scene-0061", "CAM_BACK", 24 + i)) for i in range(16)]
    assert last["timestamps"] == [START + SWEEP * (24 + i) for i in range(16)]
    short = clips[-1]
    assert short["frames"][9:] == [str(driving.root / driving.file("scene-0553", "CAM_FRONT", 9))] * 7
    assert len(short["frames"]) == len(short["timestamps"]) == 16
    scenes = lines(tmp_path / "out/scene_manifest.jsonl")
    assert [(s["scene"], s["camera"], len(s["frames"])) for s in scenes] == [
        (name, camera, frames) for name, frames in driving.scenes.items() for camera in driving.cameras
    ]
    assert all(scene["timestamps"] == sorted(scene["timestamps"]) for scene in scenes)


def test_key_frames_alone_are_those_of_samples(driving: NuScenes, tmp_path: Path):
    options = [f"mine.source={driving.root}", "mine.nuscenes.frames=key_frames", "mine.frames=4", "mine.stride=4"]
    clips = listed(tmp_path / "out", *options)
    assert {Path(frame).parts[-3] for clip in clips for frame in clip["frames"]} == {"samples"}
    assert clips[0]["timestamps"] == [START + SWEEP * 6 * i for i in range(4)]


def test_scenes_and_cameras_can_be_chosen_and_short_scenes_skipped(driving: NuScenes, tmp_path: Path):
    options = [f"mine.source={driving.root}", "mine.cameras=[CAM_FRONT]", "mine.short_scenes=skip", "mine.stride=8"]
    clips = listed(tmp_path / "out", *options, "mine.scenes=[scene-0?03,scene-0553]")
    assert by_scene(clips) == {("scene-0103", "CAM_FRONT"): 3}  # from 0, 8 and, up to the last frame, 12
    with pytest.raises(DataError, match=r"mine\.cameras: nothing is called 'CAM_TOP'; there are CAM_BACK, CAM_FRONT"):
        listed(tmp_path / "out", f"mine.source={driving.root}", "mine.cameras=[CAM_TOP]")
    with pytest.raises(DataError, match=r"all 2 scenes are shorter than a clip; mine\.short_scenes=pad keeps them"):
        listed(tmp_path / "out", f"mine.source={driving.root}", "mine.scenes=[*553]", "mine.short_scenes=skip")


def test_the_folder_of_tables_can_be_named_itself_and_several_versions_are_asked_about(
    driving: NuScenes, tmp_path: Path
):
    clips = listed(tmp_path / "out", f"mine.source={driving.root}")
    assert listed(tmp_path / "out", f"mine.source={driving.tables}") == clips
    (driving.root / "v1.0-trainval").mkdir()
    (driving.root / "v1.0-trainval/scene.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"several versions \(v1\.0-mini, v1\.0-trainval\).*mine\.nuscenes\.version="):
        listed(tmp_path / "out", f"mine.source={driving.root}")
    assert listed(tmp_path / "out", f"mine.source={driving.root}", "mine.nuscenes.version=v1.0-mini") == clips


def test_errors_in_a_table_are_reported_with_its_name(driving: NuScenes, tmp_path: Path):
    def refused(table: str, text: str) -> str:
        path = driving.tables / f"{table}.json"
        before = path.read_text()
        path.write_text(text)
        with pytest.raises(DataError) as error:
            listed(tmp_path / "out", f"mine.source={driving.root}")
        path.write_text(before)
        return str(error.value)

    sample_data = json.loads((driving.tables / "sample_data.json").read_text())
    whole = json.dumps(sample_data)
    assert "sample_data.json: damaged or cut off (parse error: premature EOF)" in refused("sample_data", whole[:-30])
    assert "sample_data.json: not a JSON array" in refused("sample_data", '{"a": 1}')
    assert "sample.json, record 2: one of token, scene_token is missing" in refused(
        "sample", '[{"token": "a", "scene_token": "token-scene-0061"}, {"token": "b"}]'
    )
    assert "it refers to nowhere, which is missing from sample.json" in refused(
        "sample_data", json.dumps([sample_data[0] | {"sample_token": "nowhere"}])
    )
    assert "timestamp 'noon' of" in refused("sample_data", json.dumps([sample_data[0] | {"timestamp": "noon"}]))
    for outside in ("../../etc/passwd", "/etc/passwd", "samples/../../x.jpg"):
        assert f"filename '{outside}' leads out of" in refused(
            "sample_data", json.dumps([sample_data[0] | {"filename": outside}])
        )
    (driving.tables / "sensor.json").unlink()
    with pytest.raises(DataError, match=r"sensor\.json is missing"):
        listed(tmp_path / "out", f"mine.source={driving.root}")


def test_without_ijson_nuscenes_is_refused_with_what_to_install(
    driving: NuScenes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(requirements, "lacking", lambda packages: dict.fromkeys(packages, "not installed"))
    with pytest.raises(MissingPackageError, match=r"pip install 'ijson>=3\.3'"):
        listed(tmp_path / "out", f"mine.source={driving.root}")


@given(
    records=st.lists(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.lists(st.text(max_size=3))))),
    indent=st.sampled_from([None, 0, 2]),
    piece=st.integers(1, 40),
)
def test_a_table_read_in_pieces_is_what_json_makes_of_it(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict], indent: int | None, piece: int
):
    path = tmp_path_factory.mktemp("table") / "table.json"
    path.write_text(json.dumps(records, indent=indent) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nuscenes, "BUFFER", piece)
        assert list(nuscenes.read_array(path)) == records


# --- folders and videos ----------------------------------------------------------------------------------------------


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    root = tmp_path / "footage"
    write_frames(root / "street/left", range(10, 30))
    write_frames(root / "street/right", range(3))
    write_video(root / "yard.avi", 33)
    (root / "notes.txt").write_text("no footage")
    return root


def test_every_folder_of_frames_and_every_video_is_a_scene(footage: Path, tmp_path: Path):
    clips = listed(tmp_path / "out", f"mine.source={footage}", "mine.fps=10")
    assert by_scene(clips) == {("street/left", "street"): 2, ("street/right", "street"): 1, ("yard", "footage"): 3}
    assert clips[0]["frames"][0] == str(footage / "street/left/010.png")
    assert clips[0]["timestamps"][:3] == [1_000_000, 1_100_000, 1_200_000]  # frame 10 at 10 a second, and on
    assert clips[-1]["frames"][-1] == f"{footage}/yard.avi#32"
    assert clips[3]["timestamps"][:3] == [0, 40_000, 80_000]  # the file's own 25 a second


def test_seconds_are_counted_from_the_start_of_the_video_or_of_its_folder_of_frames(footage: Path, tmp_path: Path):
    listed(tmp_path / "out", f"mine.source={footage}", "mine.fps=10")
    clips = list(read_clips(tmp_path / "out/clips_manifest.jsonl", 16))
    assert clips[0].seconds == (0.0, 1.5) and clips[1].seconds == pytest.approx((0.4, 1.9))  # frames 14 to 29 of 10 on
    assert clips[4].seconds == pytest.approx((0.64, 1.24))  # 16 to 31 of 25 a second
    assert parse_clip(line(), 16).seconds is None  # of which it is not known when its scene starts
    assert parse_clip(line(start=0, timestamps=list(range(0, 16_000_000, 1_000_000))), 16).seconds == (0.0, 15.0)


def test_the_camera_is_the_folder_that_footage_lies_in_unless_the_layout_says_otherwise(footage: Path, tmp_path: Path):
    write_frames(footage / "street/left/later", range(16))
    cameras = {"auto": ["street", "street/left", "street", "footage"], "scenes": [""] * 4}
    for layout, expected in cameras.items():
        clips = listed(tmp_path / "out", f"mine.source={footage}", f"mine.layout={layout}", "mine.stride=16")
        assert (
            by_scene(clips).keys()
            == dict.fromkeys(
                zip(["street/left", "street/left/later", "street/right", "yard"], expected, strict=True)
            ).keys()
        )
    chosen = listed(tmp_path / "out", f"mine.source={footage}", "mine.cameras=[street/*]")
    assert by_scene(chosen) == {("street/left/later", "street/left"): 1}


def test_the_last_folder_can_be_the_camera_and_one_video_the_source(footage: Path, tmp_path: Path):
    clips = listed(tmp_path / "out", f"mine.source={footage}", "mine.layout=cameras", "mine.cameras=[right]")
    assert by_scene(clips) == {("street", "right"): 1}
    clips = listed(
        tmp_path / "out", f"mine.source={footage}/yard.avi", "mine.frame_step=4", "mine.frames=4", "mine.stride=4"
    )
    assert by_scene(clips) == {("yard", "footage"): 3}
    assert [frame.rpartition("#")[2] for frame in clips[0]["frames"]] == ["0", "4", "8", "12"]


def test_linked_folders_are_followed_once(footage: Path, tmp_path: Path):
    (footage / "elsewhere").symlink_to(write_frames(tmp_path / "there/deep", range(4))[0].parent.parent)
    (footage / "street/up").symlink_to(footage)
    clips = listed(tmp_path / "out", f"mine.source={footage}")
    assert next(clip["scene"] for clip in clips) == "elsewhere/deep"
    assert len(by_scene(clips)) == 4


def test_what_cannot_be_used_is_listed_and_the_rest_goes_on(footage: Path, tmp_path: Path):
    (footage / "broken.mp4").write_bytes(b"no video")
    write_frames(footage / "twice", [1, 2])
    (footage / "twice/1.png").write_bytes(encoded(".png"))
    (footage / "stack").mkdir()
    (footage / "stack/0.tif").write_bytes(tiff([picture(0), picture(1)]))
    clips = listed(tmp_path / "out", f"mine.source={footage}")
    assert {clip["scene"] for clip in clips} == {"street/left", "street/right", "yard"}
    problems = (tmp_path / "out/manifest_problems.csv").read_text().splitlines()
    assert problems[0] == "path,problem"
    assert "broken.mp4: cannot be opened as a video" in problems[1]
    assert problems[2].startswith(f"{footage}/stack,multi-page TIFFs") and "both frame 1" in problems[3]
    assert problems[4] == f'{footage},"1 files ignored, neither images nor videos, such as notes.txt"'


def test_a_source_that_is_not_there_or_empty_is_told(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"mine\.source=null: name the footage"):
        listed(tmp_path / "out")
    with pytest.raises(DataError, match=r"nowhere: not found"):
        listed(tmp_path / "out", "mine.source=nowhere")
    with pytest.raises(DataError, match=r"empty: no images or videos in it or below"):
        listed(tmp_path / "out", f"mine.source={tmp_path}/empty")
    with pytest.raises(DataError, match=r"no scene\.json in it"):
        listed(tmp_path / "out", f"mine.source={tmp_path}/empty", "mine.layout=nuscenes")


def test_a_step_or_a_stride_that_there_is_not_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"step=scores: no such step of mine\.py; did you mean 'score'\?"):
        files.run(load_config(["step=scores", f"mine.folder={tmp_path}"]))
    with pytest.raises(ConfigError, match=r"stride=40 would leave frames out.*frame_step=3 covers as much"):
        load_config(["mine.stride=40"])


@given(frames=st.integers(1, 60), length=st.integers(1, 20), stride=st.integers(1, 20), every=st.integers(1, 4))
def test_clips_have_their_length_keep_the_order_and_cover_every_used_frame(
    frames: int, length: int, stride: int, every: int
):
    config = MINE.model_copy(update={"frames": length, "stride": min(stride, length), "frame_step": every})
    scene = Clip("s", "c", tuple(map(str, range(frames))), tuple(range(frames)))
    clips = list(cut(scene, config))
    assert all(len(clip.frames) == length and list(clip.timestamps) == sorted(clip.timestamps) for clip in clips)
    assert {time for clip in clips for time in clip.timestamps} == set(range(0, frames, every))


# --- what is read back -----------------------------------------------------------------------------------------------


def line(count: int = 16, **changes: object) -> str:
    names = [f"{i}.jpg" for i in range(count)]
    value = {"scene": "a", "camera": "b", "frames": names, "timestamps": list(range(count))} | changes
    return json.dumps({key: v for key, v in value.items() if v is not None})


def test_frame_paths_are_as_good_as_frames_and_optional_keys_may_be_missing():
    names = [f"{i}.jpg" for i in range(16)]
    clip = parse_clip(line(frames=None, frame_paths=names, timestamps=None, scene=None), 16)
    assert clip == Clip("", "b", tuple(names), None)
    assert parse_clip(clip.as_json(), 16) == clip


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("{", "not JSON"),
        ("[1, 2]", "list, not an object with the key frames"),
        (line(15), "15 frames; a clip has exactly 16 (mine.frames)"),
        (line(17), "17 frames; a clip has exactly 16 (mine.frames)"),
        (line(frames=None), "neither frames nor frame_paths"),
        (line(frame_paths=["a"] * 16), "frames and frame_paths: a clip has one of the two"),
        (line(frames=[1] * 16), "frames is [1, 1, 1,"),
        (line(scene=3), "scene is 3: must be text"),
        (line(timestamps=[1, 2]), "2 timestamps for 16 frames"),
        (line(timestamps=[5, 4, *range(6, 20)]), "timestamps are not in order: 4 after 5"),
        (line(timestamps=["1"] * 16), "must be a list of numbers"),
        (line(start="0"), 'start is "0": must be a number'),
        (line(start=1), "start is 1: must be a number, and not after the first of timestamps"),
    ],
)
def test_a_line_that_is_no_clip_is_reported_by_its_number_and_nothing_is_scored(tmp_path: Path, wrong: str, told: str):
    path = tmp_path / "clips.jsonl"
    path.write_text(f"{line()}\n{wrong}\n{line()}\n\n")
    with pytest.raises(DataError) as error:
        count_clips(path, 16)
    assert f"{path}: 1 invalid lines:\n  line 2: " in str(error.value) and told in str(error.value)
    with pytest.raises(DataError, match=r"clips\.jsonl, line 2: "):
        list(read_clips(path, 16))
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (tmp_path / name).touch()
    options = [f"mine.folder={tmp_path}", f"mine.manifest={path}", "mine.engine=ray", f"weights.videomae={tmp_path}"]
    with pytest.raises(DataError, match=r"line 2: "):
        files.run(load_config(["step=score", *options]))
    assert not (tmp_path / "scores.jsonl").exists()


def test_a_manifest_that_is_empty_or_missing_is_told(tmp_path: Path):
    (tmp_path / "clips.jsonl").write_text("\n")
    with pytest.raises(DataError, match="no clips in it"):
        count_clips(tmp_path / "clips.jsonl", 16)
    with pytest.raises(MissingArtifactError, match=r"step=manifest"):
        count_clips(tmp_path / "nowhere.jsonl", 16)
