"""The example layout of the documentation finds its videos; its detectors are tested in test_detector_contract.py."""

from pathlib import Path

from omegaconf import OmegaConf
from tests.footage import dataset, write_frames
from tests.pipeline import ROOT

from pixelplay.videos import layouts

EXAMPLES = ROOT / "docs/examples"


def test_the_example_layout_tells_normal_videos_from_those_to_score_by_name(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(layouts, "__path__", [*layouts.__path__, str(EXAMPLES / "layouts")])
    for name in ("normal_001", "normal_002", "test_001"):
        write_frames(tmp_path / "clips" / name, range(1, 4), "{:03d}.png")
    layout = OmegaConf.load(EXAMPLES / "configs/dataset/numbered_clips.yaml").layout
    videos = layouts.read_dataset(dataset(layout, tmp_path))
    found = [(video.split, video.id) for video in videos]
    assert found == [("train", "normal_001"), ("train", "normal_002"), ("test", "test_001")]
