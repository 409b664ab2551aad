"""The contrastive training of an in-domain encoder."""

import math

import numpy as np
import pytest
import torch
from tests.pipeline import trainer_config

from pixelplay.backbones.contrastive import (
    Contrast,
    CropReconstruction,
    EncoderTraining,
    Pairs,
    Views,
    at_places,
    contrast,
)
from pixelplay.backbones.in_domain import Decoder, Encoder
from pixelplay.errors import DataError
from pixelplay.training.clips import Augmentation

SIZE, ROOM = 48, 8
QUIET = Augmentation(noise_amplitude=0.0, noise_share=0.0, target="clean", vertical_flip=0.0)
NOISY = Augmentation(noise_amplitude=0.1, noise_share=1.0, target="clean", vertical_flip=0.0)


def contrast_of(noise: Augmentation) -> Contrast:
    torch.manual_seed(0)
    return Contrast(Encoder([4, 8, 8, 16]), 8, 0.1, Views(SIZE, 0.0, noise))


def crops(count: int) -> torch.Tensor:
    return torch.rand(count, 3, SIZE + ROOM, SIZE + ROOM, generator=torch.Generator().manual_seed(1))


def test_the_encoder_halves_four_times_and_gives_the_last_two_stages():
    first, second = Encoder([4, 8, 16, 32]).eval()(torch.zeros(2, 3, 64, 48))
    assert first.shape == (2, 16, 8, 6) and second.shape == (2, 32, 4, 3)


def test_a_view_is_a_piece_of_its_own_crop():
    torch.manual_seed(3)
    fed = crops(6)
    views = Views(SIZE, 0.0, QUIET).of(fed)[0]
    pieces = fed.unfold(2, SIZE, 1).unfold(3, SIZE, 1)  # (N, 3, 9, 9, size, size)
    same = (pieces == views[:, :, None, None]).all(dim=(1, 4, 5))  # (N, 9, 9)
    assert same.sum(dim=(1, 2)).tolist() == [1] * 6
    places = {tuple(place) for place in same.nonzero()[:, 1:].tolist()}
    assert len(places) > 3  # and they differ


def test_noise_stays_within_its_amplitude_and_within_the_range():
    fed = torch.cat([torch.zeros(1, 3, 56, 56), torch.full((1, 3, 56, 56), 0.5)])
    views = Views(SIZE, 0.0, NOISY).of(fed)[0]
    assert views.min() >= 0 and (views[1] - 0.5).abs().max() <= 0.1 and views[1].std() > 0.04


def test_the_loss_is_the_cross_entropy_of_the_partner_among_all_others():
    vectors = torch.randn(8, 5, generator=torch.Generator().manual_seed(2))
    unit = (vectors / vectors.norm(dim=1, keepdim=True)).numpy().astype(np.float64)
    losses = []
    for i in range(8):
        mate = (i + 4) % 8
        terms = {j: math.exp(float(unit[i] @ unit[j]) / 0.1) for j in range(8) if j != i}
        losses.append(-math.log(terms[mate] / sum(terms.values())))
    assert float(contrast(vectors, 0.1)) == pytest.approx(np.mean(losses), rel=1e-5)


def test_whole_crops_and_places_count_alike_and_both_teach_the_encoder():
    objective = contrast_of(QUIET)
    batch = (crops(4).unflatten(0, (2, 2)).permute(0, 1, 3, 4, 2) * 255).to(torch.uint8)
    seen = []
    for head in (objective.head, objective.place_head):
        head.register_forward_hook(lambda _, fed, given: seen.append(float(contrast(given.detach(), 0.1))))
    torch.manual_seed(4)
    loss = objective(batch)
    assert loss.item() == pytest.approx(np.mean(seen), rel=1e-5)
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in objective.encoder.parameters())


def test_places_are_the_same_in_both_views_and_a_margin_inside_them():
    objective = contrast_of(QUIET)
    starts = torch.randint(ROOM + 1, (50, 2)), torch.randint(ROOM + 1, (50, 2))
    one, other = objective._places(*starts)
    assert one.shape == (50, 8, 2)
    assert torch.allclose(one * SIZE + starts[0][:, None], other * SIZE + starts[1][:, None], atol=1e-3)
    for places in (one, other):
        assert places.min() >= 1 / 14 - 1e-5 and places.max() <= 13 / 14 + 1e-5
    assert one.std() > 0.15  # spread over the view


def test_a_place_s_descriptor_is_that_of_its_cell():
    maps = torch.arange(24.0).reshape(2, 1, 3, 4)  # two maps of 3 x 4 cells
    first = torch.tensor([[[1 / 6, 1 / 8], [5 / 6, 3 / 8]]])  # the middles of row 1, column 1 and of row 3, column 2
    second = torch.tensor([[[0.5, 0.25], [0.5, 0.0]]])  # between two columns, and at the border
    assert at_places(maps, first, second).flatten().tolist() == pytest.approx([0, 9, 12 + 4.5, 12 + 4], abs=1e-5)


def test_a_step_s_views_depend_on_seed_epoch_and_step_alone():
    training = EncoderTraining(contrast_of(NOISY), trainer_config(), seed=0).eval()
    batch = (crops(4).unflatten(0, (2, 2)).permute(0, 1, 3, 4, 2) * 255).to(torch.uint8)
    first = training.loss(batch, 1, 2)
    torch.rand(7)
    assert torch.equal(training.loss(batch, 1, 2), first)
    assert not torch.equal(training.loss(batch, 1, 3), first) and not torch.equal(training.loss(batch, 2, 2), first)


def test_pairs_of_several_videos_are_numbered_through():
    arrays = [np.full((n, 2, 4, 4, 3), value, np.uint8) for value, n in ((1, 3), (2, 1), (3, 2))]
    pairs = Pairs(arrays)
    assert len(pairs) == 6
    assert pairs[[5, 0, 3, 4, 2]][:, 0, 0, 0, 0].tolist() == [3, 1, 2, 3, 1]


def test_no_pair_at_all_is_an_error():
    with pytest.raises(DataError, match="no crop of normal footage"):
        Pairs([])


def test_a_view_comes_with_the_same_piece_without_noise():
    fed, clean = Views(SIZE, 0.0, NOISY).of(crops(5))
    assert 0 < (fed - clean).abs().max() <= 0.1
    quiet, same = Views(SIZE, 0.0, QUIET).of(crops(5))
    assert torch.equal(quiet, same)


def test_the_decoder_gives_images_of_the_encoder_s_size_back_and_the_autoencoder_learns_them():
    torch.manual_seed(0)
    widths = [4, 8, 8, 16]
    autoencoder = CropReconstruction(Encoder(widths), Decoder(widths), Views(SIZE, 0.0, QUIET))
    assert autoencoder.decoder(autoencoder.encoder(torch.zeros(2, 3, SIZE, SIZE))[1]).shape == (2, 3, SIZE, SIZE)
    flat = torch.arange(8, dtype=torch.uint8)[:, None, None, None, None].mul(30).expand(8, 2, 56, 56, 3)  # grey levels
    optimizer = torch.optim.AdamW(autoencoder.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        losses.append(autoencoder(flat))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.1 * losses[0]


def test_each_colour_of_a_view_has_a_gain_and_an_offset_of_its_own():
    dark, bright = torch.full((6, 3, 56, 56), 0.4), torch.full((6, 3, 56, 56), 0.6)
    torch.manual_seed(5)
    low = Views(SIZE, 0.2, QUIET).of(dark)[1]
    torch.manual_seed(5)
    high = Views(SIZE, 0.2, QUIET).of(bright)[1]
    assert torch.equal(low, low[:, :, :1, :1].expand_as(low))  # the same all over a view
    gain = (high - low)[:, :, 0, 0] / 0.2
    offset = low[:, :, 0, 0] - 0.4 * gain
    assert (gain - 1).abs().max() <= 0.2 + 1e-5 and offset.abs().max() <= 0.1 + 1e-5
    assert gain.std() > 0.05 and offset.std() > 0.02 and len(gain.flatten().unique()) == 18
