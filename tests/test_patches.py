"""Features of clips: the same as of each clip alone, with no frame brought before the backbone twice."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.footage import HEIGHT, WIDTH, followed, write_frames
from torch import nn
from torch.nn import functional as F

from pixelplay.backbones.frozen import Backbone, local_maps
from pixelplay.detectors.videopatchcore import descriptors as patch_features
from pixelplay.detectors.videopatchcore.clip_features import ClipFeatures, Noise, PatchFeatures, PatchSettings
from pixelplay.detectors.videopatchcore.nearest import centred
from pixelplay.objects.crops import crop_batches
from pixelplay.objects.settings import TubeConfig
from pixelplay.objects.tracks import Tracks
from pixelplay.training.clips import Augmentation
from pixelplay.videos.image_folder import ImageFolder
from pixelplay.videos.video import Originals, Video
from pixelplay.videos.windows import causal_windows, windows

FRAMES, CLIP, SIZE, CHANNELS, GRID = 11, 4, 48, 3, 2


class Stages(nn.Module):
    """Two convolutions at strides 8 and 16."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 5, 8, stride=8), nn.Conv2d(5, 7, 2, stride=2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first = F.relu(self.first(x))
        return first, F.relu(self.second(first))


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    torch.manual_seed(0)
    return Backbone("two convolutions", Stages(), mean=[0.5] * 3, std=[0.2] * 3, bf16=False)


@pytest.fixture
def seen(backbone: Backbone):
    """How many images each call of the backbone got."""
    images: list[int] = []
    hook = backbone.register_forward_hook(lambda module, inputs, output: images.append(len(inputs[0])))
    yield images
    hook.remove()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Video:
    folder = tmp_path_factory.mktemp("patches") / "a"
    write_frames(folder, range(FRAMES), seed=3)
    originals = Originals.of(ImageFolder.scan(folder), (WIDTH, HEIGHT), np.ones(FRAMES, bool))
    return Video("a", "test", np.arange(FRAMES), (WIDTH, HEIGHT), folder, originals=originals)


NOBODY = followed()
TWO = followed(  # in every frame, one of which walks to the right
    *(row for t in range(FRAMES) for row in ((t, 1, 4, 4, 24, 28), (t, 2, 20 + 2 * t, 10, 50 + 2 * t, 46)))
)


def features(backbone: Backbone, batch: int = 64, noise_above: float | None = None) -> PatchFeatures:
    settings = PatchSettings(image_size=SIZE, channels=CHANNELS, grid=GRID)
    return PatchFeatures(backbone, settings, TubeConfig(enlarge=1.0), batch, noise_above)


def same(found: ClipFeatures, expected: dict[str, np.ndarray]) -> None:
    assert set(found.vectors) == set(expected)
    for stream, vectors in expected.items():
        np.testing.assert_allclose(found.vectors[stream], vectors, rtol=1e-4, atol=1e-5, err_msg=stream)


def by_definition(backbone: Backbone, images: torch.Tensor, squares: np.ndarray) -> dict[str, np.ndarray]:
    """Vectors of one clip uint8 (T, H, W, 3), each of its frames as it comes, tube by tube: squares (K, T, 4)."""

    def stages(square: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.from_numpy(square), torch.arange(len(images))
        return backbone(next(crop_batches(images, *rows, SIZE, len(images))))

    whole = patch_features.frame_vectors(*stages(np.array([[0, 0, WIDTH, HEIGHT]] * len(images))))
    maps = [local_maps(*stages(square), CHANNELS).transpose(0, 1)[None] for square in squares]  # (1, C, T, H, W)
    vectors = {"global": patch_features.temporal_pyramid(whole[None])[0]}
    if maps:
        vectors["spatial"] = patch_features.spatial_vectors(torch.cat(maps), GRID)
        vectors["temporal"] = patch_features.temporal_vectors(torch.cat(maps))
    return {stream: value.numpy() for stream, value in vectors.items()}


def clip_of(video: Video, positions: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(list(video.full_size()))[positions])


@pytest.mark.parametrize("tracks", [NOBODY, TWO], ids=["nobody", "two"])
@pytest.mark.parametrize(
    "positions",
    [
        windows(FRAMES, CLIP, 1),
        windows(FRAMES, CLIP, 3),
        causal_windows(FRAMES, CLIP, 2),
        centred(np.array([0, 1, 9, 10]), CLIP, FRAMES),  # the last clip has no frame that the one before has not
        windows(FRAMES, 2 * FRAMES, 1),  # shorter than a clip
    ],
    ids=["stride 1", "stride 3", "causal", "centred", "short"],
)
def test_clips_have_the_vectors_of_their_definition_however_they_overlap_and_are_padded(
    backbone, video, tracks, positions
):
    found = list(features(backbone).clips(video, tracks, positions, causal=False))
    assert [one.clip for one in found] == list(range(len(positions)))
    for one, places in zip(found, positions, strict=True):
        assert len(one.tubes) == (2 if tracks is TWO else 0)
        same(one, by_definition(backbone, clip_of(video, places), one.tubes.square))


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_a_whole_frame_is_brought_before_the_backbone_once(backbone, video, seen, stride):
    list(features(backbone).clips(video, NOBODY, windows(FRAMES, CLIP, stride), causal=False))
    assert sum(seen) == FRAMES


@pytest.mark.parametrize("stride", [1, 3])
def test_so_is_each_object_in_it(backbone, video, seen, stride):
    list(features(backbone).clips(video, TWO, windows(FRAMES, CLIP, stride), causal=False))
    assert sum(seen) == FRAMES * (1 + 2)


def test_a_frame_that_pads_a_clip_is_not_brought_before_the_backbone_again(backbone, video, seen):
    (one,) = features(backbone).clips(video, TWO, np.array([[0, 0, 0, 1]]), causal=True)
    assert sum(seen) == 2 * (2 + 1)  # two frames: two objects and the whole
    assert not one.vectors["temporal"][:, :2].any() and one.vectors["temporal"][:, 2].all()


def test_a_clip_of_known_frames_without_objects_needs_no_backbone(backbone, video, seen):
    list(features(backbone).clips(video, NOBODY, np.array([[7, 8, 9, 10], [8, 9, 10, 10]]), causal=False))
    assert seen == [4]


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_vectors_agree_to_rounding_whatever_the_batch_size_and_no_batch_is_larger(backbone, video, seen, batch):
    positions = windows(FRAMES, CLIP, 2)
    expected = [one.vectors for one in features(backbone).clips(video, TWO, positions, causal=False)]
    seen.clear()
    for one, vectors in zip(
        features(backbone, batch).clips(video, TWO, positions, causal=False), expected, strict=True
    ):
        same(one, vectors)
    assert max(seen) == batch


def test_clips_with_noise_of_their_own_share_no_frame(backbone, video):
    noise = Noise(Augmentation(noise_amplitude=0.3, noise_share=1.0, target="noisy", vertical_flip=0.0), (5, 0))
    positions = windows(FRAMES, CLIP, 2)
    for one in features(backbone).clips(video, TWO, positions, False, noise):
        noised = noise.add(clip_of(video, positions[one.clip]), one.clip)
        same(one, by_definition(backbone, noised, one.tubes.square))


# --- noisy frames ---------------------------------------------------------------------------------------------------

LEVELS = np.array([1, 1, 20, 2, 17, 20, 3, 20, 1, 2, 20], np.float32)  # of the video's frames
CLEAN_PAIRS = {0: (0,), 1: (1,), 2: (1, 3), 3: (3,), 4: (3, 3, 6), 5: (3, 6, 6), 6: (6,), 7: (6, 8), 8: (8,)}


@pytest.fixture
def noisy(video: Video, tmp_path) -> Video:
    """The video with other pictures where its frames are noisy."""
    folder = tmp_path / "a"
    shutil.copytree(video.folder, folder)
    write_frames(folder, np.flatnonzero(LEVELS > 8).tolist(), seed=4)
    originals = Originals.of(ImageFolder.scan(folder), (WIDTH, HEIGHT), np.ones(FRAMES, bool))
    return replace(video, folder=folder, originals=originals, noise=LEVELS)


def vectors_of(found: PatchFeatures, video: Video, positions: np.ndarray, tracks: Tracks = TWO) -> list[ClipFeatures]:
    return list(found.clips(video, tracks, positions, causal=False))


def test_what_is_in_noisy_frames_changes_nothing(backbone, video, noisy):
    found = features(backbone, noise_above=8)
    positions = windows(FRAMES, CLIP, 1)
    expected = vectors_of(found, replace(video, noise=LEVELS), positions)
    for one, other in zip(vectors_of(found, noisy, positions), expected, strict=True):
        same(one, other.vectors)
    looked_at = vectors_of(features(backbone), noisy, positions)
    assert not np.allclose(looked_at[0].vectors["spatial"], expected[0].vectors["spatial"])


def test_noisy_frames_are_not_brought_before_the_backbone(backbone, noisy, seen):
    found = features(backbone, noise_above=8)
    vectors_of(found, noisy, windows(FRAMES, CLIP, 1), NOBODY)
    assert sum(seen) == (LEVELS <= 8).sum()


def test_a_noisy_frame_s_features_lie_between_those_of_the_clean_ones_around_it(backbone, noisy):
    (one,) = vectors_of(features(backbone, noise_above=8), noisy, np.arange(9)[None])  # positions 0..8
    clean = np.flatnonzero(LEVELS[:9] <= 8)
    crops = clip_of(noisy, clean)
    maps = []
    for square in one.tubes.square:
        rows = torch.from_numpy(square[clean]), torch.arange(len(clean))
        stages = backbone(next(crop_batches(crops, *rows, SIZE, len(clean))))
        seen = dict(zip(clean.tolist(), local_maps(*stages, CHANNELS), strict=True))
        maps.append(torch.stack([torch.stack([seen[t] for t in CLEAN_PAIRS[i]]).mean(0) for i in range(9)], dim=1))
    same_stream = patch_features.temporal_vectors(torch.stack(maps)).numpy()
    np.testing.assert_allclose(one.vectors["temporal"], same_stream, rtol=1e-3, atol=1e-4)
    third = one.vectors["temporal"][:, 3:6]  # from frame 3 to frame 6 in equal steps
    np.testing.assert_allclose(third, third[:, :1].repeat(3, axis=1), rtol=1e-3, atol=1e-4)


def test_a_clip_is_shown_by_a_clean_frame(backbone, noisy):
    found = vectors_of(features(backbone, noise_above=8), noisy, np.array([[3, 4, 5, 6]]))  # the middle one is 5
    assert found[0].shown == 3


def test_a_clip_of_noisy_frames_alone_is_seen_as_it_is(backbone, noisy):
    (one,) = vectors_of(features(backbone, noise_above=8), noisy, np.array([[4, 5]]))
    same(one, by_definition(backbone, clip_of(noisy, np.array([4, 5])), one.tubes.square))
