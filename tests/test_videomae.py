"""A VideoMAE ready to score: its errors are those of the model's own loss, token by token; what it refuses to load."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.pipeline import CPU
from tests.small_videomae import FRAMES, SIDE, random_clips, saved_videomae, small_model, small_processor
from transformers import VideoMAEForPreTraining

from pixelplay.detectors.videomae.model import VideoMAE
from pixelplay.detectors.videomae.tokens import LOSS_MEAN, LOSS_STD, normalised, random_masks, rotating_masks
from pixelplay.errors import ConfigError, DataError, WeightsError

HALF = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}  # other image settings than those that the loss assumes


@pytest.fixture(scope="module", params=["normalised targets", "plain targets", "plain, other image settings"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    other = HALF if "other" in request.param else None
    place = tmp_path_factory.mktemp("videomae") / "model"
    return saved_videomae(place, image_settings=other, norm_pix_loss="plain" not in request.param)


@pytest.fixture(scope="module")
def model(folder: Path) -> VideoMAE:
    return VideoMAE.load(folder, CPU, bf16=False)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_videomae(tmp_path_factory.mktemp("saved") / "model")


def masks_for(model: VideoMAE, count: int, ratio: float = 0.7) -> torch.Tensor:
    return random_masks(0, [f"clip {i}" for i in range(count)], model.grid, ratio, False)


def given_pixels(model: VideoMAE, inputs: torch.Tensor) -> np.ndarray:
    """Inputs brought back to [0, 1] with the image processor's own settings."""
    processor = model._processor
    mean, std = (np.array(x)[:, None, None] for x in (processor.image_mean, processor.image_std))
    return inputs.numpy().astype(np.float64) * std + mean


def block(clip: np.ndarray, token: int) -> np.ndarray:
    """A token's pixels, cut out by hand of a clip (T, 3, H, W): (2, 8, 8, 3)."""
    time, row, column = np.unravel_index(token, (2, 4, 4))
    return clip[2 * time : 2 * time + 2, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8].transpose(0, 2, 3, 1)


def test_sizes_are_those_of_the_model(model: VideoMAE):
    assert (model.frames, model.tubelet, model.patch, model.side) == (4, 2, 8, 32)
    assert (model.grid, model.tokens) == ((2, 4, 4), 32)


def test_the_mean_error_of_hidden_tokens_is_the_model_s_own_loss(model: VideoMAE):
    inputs, masks = model.inputs(random_clips(3)), masks_for(model, 3)
    errors, loss = model.errors(inputs, masks)
    network = VideoMAEForPreTraining.from_pretrained(model.model.name_or_path)
    network.requires_grad_(False).eval()
    own = float(network(inputs, bool_masked_pos=masks).loss)
    assert errors[masks].mean().item() == pytest.approx(own, abs=1e-5)
    assert loss.item() == pytest.approx(own, abs=1e-6)
    for i in range(3):
        alone = float(network(inputs[i : i + 1], bool_masked_pos=masks[i : i + 1]).loss)
        assert errors[i][masks[i]].mean().item() == pytest.approx(alone, abs=1e-5)
    assert not errors[~masks].any()


def test_the_error_of_each_token_is_that_of_its_own_pixels(model: VideoMAE):
    inputs, masks = model.inputs(random_clips(2, seed=1)), masks_for(model, 2)
    errors, _ = model.errors(inputs, masks)
    logits = model.model(inputs, bool_masked_pos=masks).logits
    seen = inputs.numpy() * np.array(LOSS_STD)[:, None, None] + np.array(LOSS_MEAN)[:, None, None]
    for clip in range(2):
        for i, token in enumerate(np.flatnonzero(masks[clip])):
            pixels = block(seen[clip], token).astype(np.float64).reshape(-1, 3)
            if model.model.config.norm_pix_loss:
                pixels = (pixels - pixels.mean(axis=0)) / (pixels.std(axis=0, ddof=1) + 1e-6)
            expected = np.square(logits[clip, i].numpy().reshape(-1, 3) - pixels).mean()
            assert errors[clip, token].item() == pytest.approx(expected, rel=1e-4)


def test_errors_depend_on_neither_batch_size_nor_order(model: VideoMAE):
    inputs, masks = model.inputs(random_clips(5)), masks_for(model, 5)
    together, _ = model.errors(inputs, masks)
    order = torch.tensor([3, 0, 4, 1, 2])
    assert torch.allclose(model.errors(inputs[order], masks[order])[0], together[order], rtol=1e-5, atol=1e-7)
    for i in range(5):
        alone, _ = model.errors(inputs[i : i + 1], masks[i : i + 1])
        assert torch.allclose(alone[0], together[i], rtol=1e-5, atol=1e-7)


def test_mean_errors_are_means_over_the_masks_that_hide_a_token(model: VideoMAE):
    inputs = model.inputs(random_clips(2))
    rotating = rotating_masks(0, model.grid, 5)
    errors, loss = model.mean_errors(inputs, rotating)
    each = [model.errors(inputs, mask.expand(2, -1)) for mask in rotating]
    assert torch.allclose(errors, sum(e for e, _ in each) / 4, rtol=1e-5)  # each token is hidden in four of five
    assert loss.item() == pytest.approx(np.mean([float(one) for _, one in each]), rel=1e-5)
    own = torch.stack([masks_for(model, 2), masks_for(model, 2, 0.5)])  # (2, N, tokens)
    errors, _ = model.mean_errors(inputs, own)
    assert torch.equal(errors.isnan(), ~own.any(dim=0)) and errors.isnan().any()
    both = own.all(dim=0)
    first, second = (model.errors(inputs, mask)[0] for mask in own)
    assert torch.allclose(errors[both], ((first + second) / 2)[both], rtol=1e-5)


def test_reconstructions_show_visible_tokens_as_given_and_hidden_ones_as_predicted(model: VideoMAE):
    inputs, masks = model.inputs(random_clips(2, seed=2)), masks_for(model, 2)
    shown = model.reconstruct(inputs, masks)
    assert shown.shape == (2, FRAMES, 3, SIDE, SIDE) and shown.dtype == torch.float32
    assert shown.min() >= 0 and shown.max() <= 1
    logits = model.model(inputs, bool_masked_pos=masks).logits.numpy().astype(np.float64)
    given = given_pixels(model, inputs)
    for clip in range(2):
        hidden = np.flatnonzero(masks[clip])
        for token in range(32):
            expected = block(given[clip], token)
            if token in hidden:
                predicted = logits[clip, list(hidden).index(token)].reshape(2, 8, 8, 3)
                if model.model.config.norm_pix_loss:
                    pixels = expected.reshape(-1, 3)
                    expected = predicted * pixels.std(axis=0, ddof=1) + pixels.mean(axis=0)
                else:  # the loss assumes ImageNet's settings, whatever the inputs were made with
                    expected = (predicted - LOSS_MEAN) / LOSS_STD * model._std + model._mean
            found = block(shown[clip].numpy(), token)
            np.testing.assert_allclose(found, np.clip(expected, 0, 1), atol=2e-5)


def test_the_embedding_is_the_encoder_s_last_state_averaged_over_space_and_always_the_same(model: VideoMAE):
    inputs = model.inputs(random_clips(3))
    found = model.embed(inputs)
    assert found.shape == (3, 2, 24) and found.dtype == torch.float32
    states = model.model.videomae(inputs, bool_masked_pos=None).last_hidden_state  # None: hides nothing
    expected = states.reshape(3, 2, 16, 24).mean(dim=2)
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.equal(model.embed(inputs), found)
    for i in range(3):
        assert torch.allclose(model.embed(inputs[i : i + 1])[0], found[i], rtol=1e-5, atol=1e-6)


def test_bfloat16_stays_near_float32(saved: Path):
    exact, fast = (VideoMAE.load(saved, CPU, bf16=bf16) for bf16 in (False, True))
    assert exact.identity == fast.identity
    inputs, masks = exact.inputs(random_clips(2)), masks_for(exact, 2)
    (errors, _), (near, loss) = (one.errors(inputs, masks) for one in (exact, fast))
    assert near.dtype == loss.dtype == torch.float32
    assert not torch.equal(near, errors)
    assert torch.allclose(near, errors, rtol=0.02)
    assert near[masks].mean().item() == pytest.approx(loss.item(), rel=1e-4)
    embeddings = exact.embed(inputs)
    assert (fast.embed(inputs) - embeddings).abs().max() < 0.05 * embeddings.std()


def test_the_whole_frame_is_resized_as_the_image_processor_would(model: VideoMAE):
    clips = random_clips(2, height=45, width=80)
    expected = model._processor(
        [list(clip) for clip in clips], size={"height": SIDE, "width": SIDE}, do_center_crop=False, return_tensors="pt"
    )["pixel_values"]
    assert torch.equal(model.inputs(clips), expected)
    plain = np.full((1, FRAMES, 45, 80, 3), 51, np.uint8)
    plain[:, :, :, :5] = 255  # at the very edge
    assert model.inputs(plain)[0, 0, 0, 5, 0] > model.inputs(plain)[0, 0, 0, 5, 10]


def test_cropping_loses_the_edges_as_the_image_processor_does(model: VideoMAE):
    plain = np.full((1, FRAMES, 40, 80, 3), 51, np.uint8)
    edged = plain.copy()
    edged[:, :, :, :18] = edged[:, :, :, 62:] = 255
    assert torch.equal(model.inputs(edged, crop=True), model.inputs(plain, crop=True))
    assert not torch.equal(model.inputs(edged), model.inputs(plain))
    expected = model._processor([list(clip) for clip in edged], return_tensors="pt")["pixel_values"]
    assert torch.equal(model.inputs(edged, crop=True), expected)


def test_frames_of_the_right_size_are_only_normalised(model: VideoMAE):
    clips = random_clips(2)
    processor = model._processor
    mean, std = processor.image_mean, processor.image_std
    assert torch.allclose(model.inputs(clips), normalised(torch.from_numpy(clips), mean, std), atol=1e-5)


def test_the_identity_tells_weights_and_settings_apart(saved: Path, tmp_path: Path):
    first = VideoMAE.load(saved, CPU).identity
    again = saved_videomae(tmp_path / "again")
    others = [
        saved_videomae(tmp_path / "weights", seed=1),
        saved_videomae(tmp_path / "targets", norm_pix_loss=False),
        saved_videomae(tmp_path / "images", image_settings=HALF),
    ]
    assert VideoMAE.load(again, CPU).identity == first
    assert len({first, *(VideoMAE.load(other, CPU).identity for other in others)}) == 4


def test_what_is_saved_again_is_the_same_model(saved: Path, tmp_path: Path):
    first = VideoMAE.load(saved, CPU)
    for _ in range(2):  # what is there is replaced
        first.save(tmp_path / "again")
    assert VideoMAE.load(tmp_path / "again", CPU).identity == first.identity
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again"]


def test_biases_load_by_their_published_names_and_by_those_of_the_layers(saved: Path, tmp_path: Path):
    """The hub has q_bias and v_bias; early releases of transformers 5 left them zero without a word."""
    shutil.copytree(saved, tmp_path / "old")
    weights = load_file(tmp_path / "old/model.safetensors")
    biases = [name for name in weights if name.endswith((".q_bias", ".v_bias"))]
    assert len(biases) == 6  # of three layers
    weights |= {name: torch.full_like(weights[name], i + 1.0) for i, name in enumerate(biases)}
    save_file(weights, tmp_path / "old/model.safetensors", {"format": "pt"})
    published = VideoMAE.load(tmp_path / "old", CPU)
    loaded = published.model.state_dict()
    layers = {name: name.replace(".q_bias", ".query.bias").replace(".v_bias", ".value.bias") for name in weights}
    for name in biases:
        assert torch.equal(loaded[layers[name]], weights[name])
    renamed = {layers[name]: tensor for name, tensor in weights.items()}
    save_file(renamed, tmp_path / "old/model.safetensors", {"format": "pt"})
    assert VideoMAE.load(tmp_path / "old", CPU).identity == published.identity


def test_weights_as_a_pytorch_file_are_read_as_data(saved: Path, tmp_path: Path):
    shutil.copytree(saved, tmp_path / "bin")
    weights = load_file(tmp_path / "bin/model.safetensors")
    (tmp_path / "bin/model.safetensors").unlink()
    torch.save(weights, tmp_path / "bin/pytorch_model.bin")
    assert VideoMAE.load(tmp_path / "bin", CPU).identity == VideoMAE.load(saved, CPU).identity

    class Program:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({**weights, "x": Program()}, tmp_path / "bin/pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"weights\.videomae=.*can't be read"):
        VideoMAE.load(tmp_path / "bin", CPU)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"\x93{", None], ids=["empty", "garbage", "missing"])
def test_a_damaged_folder_is_refused_with_the_key_that_named_it(name: str, content, saved: Path, tmp_path: Path):
    place = tmp_path / "broken"
    shutil.copytree(saved, place)
    (place / name).unlink() if content is None else (place / name).write_bytes(content)
    with pytest.raises(WeightsError, match=r"my\.key=.*broken.*") as error:
        VideoMAE.load(place, CPU, key="my.key")
    if content is None:
        assert f"has no {name}" in str(error.value) and "my.key=FOLDER" in str(error.value)


def test_a_model_without_its_decoder_is_refused(saved: Path, tmp_path: Path):
    shutil.copytree(saved, tmp_path / "part")
    weights = load_file(saved / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("decoder.")}
    save_file(kept, tmp_path / "part/model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match=r"\d+ tensors are missing, such as decoder\..*pre-trained"):
        VideoMAE.load(tmp_path / "part", CPU)


def changed_config(saved: Path, place: Path, **changes: object) -> Path:
    shutil.copytree(saved, place)
    values = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(values | changes))
    return place


def test_another_kind_of_model_is_refused(saved: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match=r"is a model of type 'vit': must be a VideoMAE"):
        VideoMAE.load(changed_config(saved, tmp_path / "vit", model_type="vit"), CPU)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_frames": 5}, r"num_frames=5: must be divisible by tubelet_size=2"),
        ({"image_size": 36}, r"image_size=36: must be divisible by patch_size=8"),
        ({"image_size": [32, 48]}, r"image_size=\[32, 48\]: only squares"),
    ],
)
def test_sizes_that_do_not_divide_are_refused_with_the_one_that_does_not(changes: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        VideoMAE(small_model(**changes), small_processor(), CPU, False)


def test_clips_and_masks_of_another_shape_are_refused(saved: Path):
    model = VideoMAE.load(saved, CPU)
    with pytest.raises(DataError, match=r"clips of shape \(1, 5, 32, 32, 3\): this VideoMAE takes \(N, 4, H, W, 3\)"):
        model.inputs(random_clips(1, frames=5))
    inputs = model.inputs(random_clips(2))
    with pytest.raises(DataError, match=r"\(2, 32\)"):
        model.errors(inputs, torch.zeros(2, 31, dtype=torch.bool))
    uneven = torch.zeros(2, 32, dtype=torch.bool)
    uneven[0, :3] = uneven[1, :4] = True
    with pytest.raises(DataError, match=r"hide 3, 4 of 32 tokens: every row .* the same number"):
        model.errors(inputs, uneven)
    for all_or_nothing in (torch.zeros(2, 32, dtype=torch.bool), torch.ones(2, 32, dtype=torch.bool)):
        with pytest.raises(DataError, match="neither none nor all"):
            model.reconstruct(inputs, all_or_nothing)
    with pytest.raises(DataError, match=r"inputs of shape"):
        model.embed(inputs[:, :2])


@pytest.mark.parametrize("source", ["no/such/folder", "/nowhere", "videomae", "../model"])
def test_what_is_neither_a_folder_nor_a_hub_name_is_refused(source: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"weights\.videomae=.*: no such folder, and not a hub name"):
        VideoMAE.load(source, CPU)
