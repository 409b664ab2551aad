"""YOLO as Ultralytics runs it, with a small network of random weights that a test makes: what reaches the network, what
comes back, and files that are no weights.
"""

import os
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tests.footage import folder_video, picture, write_frames
from tests.pipeline import ROOT

from pixelplay.cli import load_config
from pixelplay.errors import ConfigError
from pixelplay.objects.settings import YoloConfig
from pixelplay.objects.yolo import Yolo, batches
from pixelplay.videos.cache import FrameCache
from pixelplay.videos.video import Video

CPU = torch.device("cpu")
DEFAULT = load_config(["objects=default"]).objects.yolo
SHARED = ROOT.parent / "shared"


def settings(**changes: object) -> YoloConfig:
    return DEFAULT.model_copy(update={"image_size": 64, "batch_size": 2, **changes})


def random_weights(path: Path, bias: float, architecture: str = "yolov8n.yaml") -> Path:
    """A network that Ultralytics knows, untrained: each class of each cell has a confidence of about sigmoid(bias)."""
    os.environ.setdefault("YOLO_CONFIG_DIR", str(path.parent))
    from ultralytics import YOLO

    torch.manual_seed(0)
    model = YOLO(architecture)
    if hasattr(model.model.model[-1], "cv3"):
        for branch in model.model.model[-1].cv3:
            torch.nn.init.constant_(branch[-1].bias, bias)
    model.save(path)
    return path


@pytest.fixture
def video(tmp_path: Path) -> Video:
    write_frames(tmp_path / "data/01", range(5))
    return FrameCache(tmp_path / "cache").fill([folder_video(tmp_path / "data/01")], [], 1.0, 1)[0].video


def detector(weights: Path, folder: Path, bf16: bool = False, **changes: object) -> Yolo:
    return Yolo(weights, settings(**changes), CPU, bf16, folder)


def seen_by(yolo: Yolo, video: Video) -> list[torch.Tensor]:
    """What the network gets: batches (B, 3, H, W)."""
    inputs: list[torch.Tensor] = []
    hook = yolo._model.model.model[0].register_forward_pre_hook(lambda _, given: inputs.append(given[0].clone()))
    yolo.detect(video)
    hook.remove()
    return inputs


def test_the_network_sees_rgb_in_0_to_1_and_every_frame_in_order(yolo_weights: Path, video: Video, tmp_path: Path):
    inputs = [batch for batch in seen_by(detector(yolo_weights, tmp_path), video) if batch.any()]  # no warming up
    assert [len(batch) for batch in inputs] == [2, 2, 1]
    for t, image in enumerate(torch.cat(inputs).numpy()):
        expected = picture(t).transpose(2, 0, 1) / 255  # 64 x 48: neither enlarged nor made smaller
        bars = (image.shape[1] - 48) // 2
        np.testing.assert_allclose(image[:, bars : bars + 48], expected, atol=1e-6)


def test_boxes_are_those_of_ultralytics_itself_on_files_of_the_frames(yolo_weights: Path, video: Video, tmp_path: Path):
    """Ultralytics reads the same image files by its own means, one by one."""
    from ultralytics import YOLO

    told: list[int] = []
    found = detector(yolo_weights, tmp_path).detect(video, told.append)
    assert len(found) > 0 and told == [2, 2, 1]
    reference = YOLO(str(yolo_weights))
    for t, path in enumerate(sorted((tmp_path / "data/01").iterdir())):
        result = reference.predict(str(path), imgsz=64, conf=0.05, iou=0.7, max_det=300, device="cpu", verbose=False)
        boxes = result[0].boxes
        mine = found[found.position == t]
        order, other = np.lexsort(mine.xyxy.T), np.lexsort(boxes.xyxy.numpy().T)
        np.testing.assert_allclose(mine.xyxy[order], boxes.xyxy.numpy()[other], atol=0.01)
        np.testing.assert_allclose(mine.confidence[order], boxes.conf.numpy()[other], atol=1e-4)
        assert mine.label[order].tolist() == [reference.names[int(c)] for c in boxes.cls[other.tolist()]]


def test_the_number_of_frames_in_a_batch_changes_nothing(yolo_weights: Path, video: Video, tmp_path: Path):
    tables = [detector(yolo_weights, tmp_path, batch_size=size).detect(video) for size in (1, 3, 16)]
    for other in tables[1:]:
        assert np.array_equal(other.position, tables[0].position)
        np.testing.assert_allclose(other.xyxy, tables[0].xyxy, atol=0.01)
        assert other.label.tolist() == tables[0].label.tolist()


def test_boxes_are_finite_lie_within_the_image_and_are_sure_enough(yolo_weights: Path, video: Video, tmp_path: Path):
    for bf16 in (False, True):
        found = detector(yolo_weights, tmp_path, bf16, confidence=0.2).detect(video)
        assert set(found.position.tolist()) == set(range(5))
        assert np.isfinite(found.xyxy).all() and found.xyxy.min() >= 0
        assert (found.xyxy[:, 2:] <= video.size).all() and (found.xyxy[:, :2] < found.xyxy[:, 2:]).all()
        assert found.confidence.min() >= 0.2
        assert found.confidence.dtype == np.float32


def test_in_bfloat16_the_sides_of_boxes_are_means_in_float32_of_their_distributions(yolo_weights: Path, tmp_path: Path):
    yolo = detector(yolo_weights, tmp_path, bf16=True)
    side = yolo._model.model.model[-1].dfl
    logits = 3 * torch.randn(1, 4, 16, 500, generator=torch.Generator().manual_seed(0))  # of 500 boxes, 16 cells a side
    logits = logits.bfloat16()
    shares = np.exp(logits.double().numpy())
    means = np.einsum("bskn,k->bsn", shares / shares.sum(axis=2, keepdims=True), np.arange(16))
    with torch.autocast("cpu", torch.bfloat16):
        found = side(logits.flatten(1, 2))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), means, atol=1e-4)  # in bfloat16 it is up to 0.05 cells off


def test_no_more_boxes_of_a_frame_than_asked_for(yolo_weights: Path, video: Video, tmp_path: Path):
    found = detector(yolo_weights, tmp_path, max_boxes=3).detect(video)
    assert np.bincount(found.position).tolist() == [3] * 5


def test_a_video_in_which_nothing_is_found_has_an_empty_table(video: Video, tmp_path: Path):
    unsure = random_weights(tmp_path / "unsure.pt", bias=-20.0)
    found = detector(unsure, tmp_path).detect(video)
    assert len(found) == 0 and found.xyxy.shape == (0, 4)


def test_nothing_is_written_where_the_command_runs(
    yolo_weights: Path, video: Video, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    detector(yolo_weights, tmp_path).detect(video)
    assert list((tmp_path / "here").iterdir()) == []


class Trap:
    """What a hostile pickle does when it is loaded."""

    def __reduce__(self):
        return (os.mkdir, ("trapped",))


@pytest.mark.parametrize("safe_by_default", [True, False])  # False: imported before the variable was set
def test_a_file_that_would_run_code_is_refused_unrun(tmp_path: Path, monkeypatch, safe_by_default: bool):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ultralytics.nn.tasks.SAFE_LOAD", safe_by_default)
    torch.save({"model": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(ConfigError, match=r"trap\.pt: cannot be loaded as weights of a YOLO"):
        detector(tmp_path / "trap.pt", tmp_path)
    assert not (tmp_path / "trapped").exists()


def test_what_is_no_weights_of_a_detector_is_refused_by_its_key(yolo_weights: Path, tmp_path: Path):
    files = {
        "empty.pt": b"",
        "text.pt": b"not weights",
        "half.pt": yolo_weights.read_bytes()[:100_000],
        "pickle.pt": pickle.dumps({"a": 1}),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match=rf"weights\.yolo=.*{name}: cannot be loaded"):
            detector(tmp_path / name, tmp_path)
    random_weights(tmp_path / "classes.pt", 0.0, "yolov8n-cls.yaml")
    with pytest.raises(ConfigError, match=r"classes\.pt: weights to classify; they must be weights to detect"):
        detector(tmp_path / "classes.pt", tmp_path)


def test_batches_by_hand():
    frames = [np.full((1, 1, 3), t, np.uint8) for t in range(5)]
    found = [(start, [int(frame[0, 0, 0]) for frame in batch]) for start, batch in batches(frames, 2)]
    assert found == [(0, [0, 1]), (2, [2, 3]), (4, [4])]
    assert list(batches([], 2)) == []


@pytest.mark.skipif(not (SHARED / "weights/yolov8n.pt").is_file(), reason="no yolov8n.pt in ../shared/weights")
def test_real_weights_find_the_people_of_a_real_frame(tmp_path: Path):
    """Ped2, Train001, first frame, where the data are there too: ten people or more, none larger than a third."""
    folder = ROOT / "data/ped2/Train/Train001"
    if not folder.is_dir():
        pytest.skip("no data/ped2")
    frame = cv2.imread(str(sorted(folder.iterdir())[0]))
    (tmp_path / "01").mkdir()
    cv2.imwrite(str(tmp_path / "01/001.png"), frame)
    video = FrameCache(tmp_path / "cache").fill([folder_video(tmp_path / "01")], [], 1.0, 1)[0].video
    found = Yolo(SHARED / "weights/yolov8n.pt", DEFAULT, CPU, False, tmp_path).detect(video)
    people = found[(found.label == "person") & (found.confidence > 0.25)]
    assert len(people) >= 5
    assert ((people.xyxy[:, 2:] - people.xyxy[:, :2]) < np.array(video.size) / 3).all()
