"""RoI maps of YOLO's pyramid: against torchvision's RoIAlign and by hand, box by box, whatever the batch."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.test_yolo import CPU, DEFAULT, SHARED, detector, video
from torch import nn
from torchvision.ops import roi_align
from ultralytics.utils.ops import scale_boxes

from pixelplay.errors import ConfigError, DataError
from pixelplay.objects.boxes import Boxes
from pixelplay.objects.pyramid import Pyramid, letterboxed, roi_maps
from pixelplay.objects.yolo import Pooling, Yolo
from pixelplay.videos.video import Video

__all__ = ["video"]  # a fixture: five frames of 64 x 48


def pooled(yolo: Yolo, video: Video, known: Boxes | None = None) -> tuple[Boxes, np.ndarray]:
    parts: list[np.ndarray] = []
    boxes = yolo.detect(video, pooling=Pooling(3, parts.append, known))
    return boxes, np.concatenate(parts)


def columns(side: int, stride: int) -> torch.Tensor:
    """A map (1, 1, H, W) of an input of `side` pixels: each cell holds its column."""
    count = side // stride
    return torch.arange(count).float().expand(1, 1, count, count)


# --- by hand --------------------------------------------------------------------------------------------------------


def test_a_ramp_is_pooled_to_what_it_is_at_the_centres_of_the_cells():
    """Column c of a level has its centre at (c + 1/2) stride; the box's thirds have theirs at 88, 120 and 152."""
    levels = [columns(256, stride) for stride in (8, 16, 32)]
    found = roi_maps(levels, torch.tensor([[72.0, 80.0, 168.0, 176.0]]), torch.tensor([0]), 3)
    assert found.shape == (1, 3, 3, 3)
    for level, stride in enumerate((8, 16, 32)):
        expected = torch.tensor([88.0, 120.0, 152.0]) / stride - 0.5
        torch.testing.assert_close(found[0, level], expected.expand(3, 3))


def test_maps_are_those_of_torchvision_level_by_level_in_the_image_of_the_box():
    torch.manual_seed(0)
    levels = [torch.randn(2, channels, 64 // stride, 96 // stride) for channels, stride in ((4, 8), (5, 16), (6, 32))]
    boxes = torch.tensor([[3.0, 5.0, 30.0, 41.0], [50.0, 10.0, 96.0, 64.0], [0.0, 0.0, 9.0, 9.0]])
    image = torch.tensor([1, 0, 1])
    found = roi_maps(levels, boxes, image, 3)
    start = 0
    for level, stride in zip(levels, (8, 16, 32), strict=True):
        for n in range(3):
            alone = level[image[n] : image[n] + 1]
            expected = roi_align(alone, [boxes[n : n + 1]], 3, 1 / stride, sampling_ratio=-1, aligned=True)[0]
            torch.testing.assert_close(found[n, start : start + level.shape[1]], expected)
        start += level.shape[1]


def test_boxes_are_put_where_the_letterbox_has_them_by_hand():
    box = np.array([[10.0, 5.0, 20.0, 50.0]])
    assert letterboxed(box, (64, 48), (64, 64)).tolist() == [[10, 13, 20, 58]]  # 8 pixels above and below
    assert letterboxed(box, (100, 50), (64, 32)).tolist() == [pytest.approx([6.4, 3.2, 12.8, 32.0])]


@pytest.mark.parametrize(("size", "seen"), [((360, 240), (640, 448)), ((641, 359), (640, 384)), ((17, 90), (64, 320))])
def test_the_letterbox_is_what_ultralytics_undoes(size: tuple[int, int], seen: tuple[int, int]):
    box = np.array([[1.5, 2.0, 14.25, 15.0]])
    back = scale_boxes(seen[::-1], torch.from_numpy(letterboxed(box, size, seen)), size[::-1])
    np.testing.assert_allclose(back.numpy(), box, atol=1e-3)


# --- of a network ---------------------------------------------------------------------------------------------------


class Levels(nn.Module):
    """The input averaged at each of these strides, and times it, as three channels."""

    def __init__(self, strides: tuple[int, ...]):
        super().__init__()
        self.strides = strides

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [stride * nn.functional.avg_pool2d(x, stride) for stride in self.strides]


class Head(nn.Module):
    def forward(self, levels: list[torch.Tensor]) -> list[torch.Tensor]:
        levels[0] = torch.zeros(1)  # as some versions of Ultralytics' head replace them
        return levels


def network(*strides: int) -> nn.Module:
    made = nn.Module()
    made.model = nn.Sequential(Levels(strides), Head())
    return made


def test_a_network_of_averages_gives_the_mean_of_each_box_times_the_stride():
    """64 x 64 frames of one grey level each; P2 and P6, if there are any, are not pooled."""
    made = network(4, 32, 8, 16, 64)
    frames = torch.tensor([3.0, 5.0])[:, None, None, None].expand(2, 3, 64, 64)
    pyramid = Pyramid(made, "x.pt")
    deepcopy(made).model(frames)
    assert pyramid.channels == 9
    maps = pyramid.pooled(np.array([[0.0, 0, 32, 32], [16, 8, 60, 64]]), np.array([1, 0]), (64, 64), 3)
    assert maps.shape == (2, 9, 3, 3) and maps.dtype == np.float16
    for row, grey in ((0, 5), (1, 3)):
        assert maps[row].reshape(3, -1).tolist() == [[grey * stride] * 27 for stride in (8, 16, 32)]


def test_a_network_without_one_of_the_levels_is_refused_by_its_weights():
    made = network(8, 16)
    pyramid = Pyramid(made, "odd.pt")
    made.model(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ConfigError, match=r"weights\.yolo=odd\.pt: .*strides \[8, 16\].*source=backbone"):
        pyramid.pooled(np.zeros((1, 4)), np.zeros(1, int), (64, 64), 3)


def test_maps_too_large_for_float16_are_refused():
    made = network(8, 16, 32)
    pyramid = Pyramid(made, "x.pt")
    made.model(torch.full((1, 3, 64, 64), 3000.0))
    with pytest.raises(DataError, match="too large for float16"):
        pyramid.pooled(np.array([[0.0, 0, 32, 32]]), np.array([0]), (64, 64), 3)


# --- of YOLO --------------------------------------------------------------------------------------------------------


def test_pooling_changes_no_box_and_each_map_is_its_box_s_in_its_frame_alone(
    yolo_weights: Path, video: Video, tmp_path: Path
):
    """The frame alone through the network, its pyramid by a hook of the test, RoIAlign by torchvision."""
    plain = detector(yolo_weights, tmp_path, batch_size=4).detect(video)
    yolo = detector(yolo_weights, tmp_path, batch_size=4)
    boxes, maps = pooled(yolo, video)
    for name in ("position", "xyxy", "label", "confidence"):
        assert getattr(boxes, name).tobytes() == getattr(plain, name).tobytes()
    assert maps.shape == (len(boxes), yolo.channels, 3, 3) and len(set(boxes.position.tolist())) == 5
    one = detector(yolo_weights, tmp_path, batch_size=1)
    one.detect(video.block(0, 1))  # so that its layers are fused
    seen: list[list[torch.Tensor]] = []
    one._model.predictor.model.model.model[-1].register_forward_pre_hook(lambda _, given: seen.append(list(given[0])))
    for t in range(5):
        one.detect(video.block(t, t + 1))
        of_frame = torch.from_numpy(boxes.xyxy[boxes.position == t])
        of_frame[:, 1::2] += (8 * seen[-1][0].shape[2] - 48) // 2  # the bars above and below
        levels = zip(seen[-1], (8, 16, 32), strict=True)
        expected = torch.cat([roi_align(level, [of_frame], 3, 1 / s, -1, True) for level, s in levels], 1)
        np.testing.assert_allclose(maps[boxes.position == t], expected.numpy(), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("bf16", [False, True])
def test_the_number_of_frames_in_a_batch_changes_no_map(yolo_weights: Path, video: Video, tmp_path: Path, bf16: bool):
    boxes, first = pooled(detector(yolo_weights, tmp_path, bf16, batch_size=1), video)
    _, other = pooled(detector(yolo_weights, tmp_path, bf16, batch_size=4), video, known=boxes)
    np.testing.assert_allclose(first, other, rtol=2e-2, atol=0.1 if bf16 else 2e-3)


def test_known_boxes_are_pooled_in_place_of_new_ones_in_their_order(yolo_weights: Path, video: Video, tmp_path: Path):
    boxes, maps = pooled(detector(yolo_weights, tmp_path), video)
    some = np.flatnonzero(np.arange(len(boxes)) % 3 == 1)
    again, found = pooled(detector(yolo_weights, tmp_path), video, known=boxes[some])
    assert (
        again.xyxy.tobytes() == boxes.xyxy[some].tobytes() and again.position.tolist() == boxes.position[some].tolist()
    )
    assert np.array_equal(found, maps[some])


def test_a_video_without_boxes_has_no_maps(yolo_weights: Path, video: Video, tmp_path: Path):
    parts: list[np.ndarray] = []
    detector(yolo_weights, tmp_path).detect(video, pooling=Pooling(3, parts.append, Boxes.none()))
    assert parts == []


@pytest.mark.skipif(not (SHARED / "weights/yolov8n.pt").is_file(), reason="no yolov8n.pt in ../shared/weights")
def test_real_weights_have_448_channels_and_like_objects_have_like_maps(video: Video, tmp_path: Path):
    """64 + 128 + 256; the test's frames resemble each other, so a place is more like itself a frame later."""
    yolo = Yolo(SHARED / "weights/yolov8n.pt", replace_image_size(640), CPU, False, tmp_path)
    assert yolo.channels == 448
    places = np.array([[0, 0, 24, 24], [40, 24, 64, 48]], np.float32)
    known = Boxes.of(np.repeat([0, 1], 2), np.tile(places, (2, 1)), ["person"] * 4, np.ones(4))
    _, maps = pooled(yolo, video.block(0, 2), known)
    flat = maps.reshape(4, -1).astype(np.float32)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    similar = flat[:2] @ flat[2:].T
    assert similar[0, 0] > similar[0, 1] and similar[1, 1] > similar[1, 0]


def replace_image_size(size: int):
    return DEFAULT.model_copy(update={"image_size": size})
