"""Training: what is learnt from, the epoch that is kept, and runs that end early, go wrong or are killed."""

import logging
import math
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from lightning import LightningModule
from tests.pipeline import (
    CPU,
    DENOISING,
    ROOT,
    SOURCE,
    Dying,
    Killed,
    clips_of,
    run,
    small_training,
    trainer_config,
)
from torch import nn
from torch.nn import functional as F

from pixelplay.detectors.autoencoder.network import ConvAutoencoder, SpatioTemporalAutoencoder
from pixelplay.errors import ConfigError, PixelPlayError
from pixelplay.run.atomic import HOST
from pixelplay.training.clips import Batched
from pixelplay.training.device import autocast_bf16, choose_device, find_device, trainer_devices
from pixelplay.training.fit import fit
from pixelplay.training.run import TrainingRun

STEPS, EPOCHS = 4, 3  # of `small_training`
FAMILY = {
    "conv_ae": (ConvAutoencoder, SOURCE),
    "denoising_ae": (ConvAutoencoder, DENOISING),
    "st_ae": (SpatioTemporalAutoencoder, SOURCE),
}


class Counter(LightningModule):
    """Its weight counts the epochs that it was trained; `losses` says the held-out loss after each."""

    def __init__(self, losses: list[float], train_loss: float = 0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.losses, self.train_loss = losses, train_loss
        self.steps = 0

    def training_step(self, batch: torch.Tensor, step: int) -> torch.Tensor:
        self.steps += 1
        loss = -self.weight  # gradient -1, so that a rate of 1 adds 1
        self.log("train/loss", loss * 0 + self.train_loss, on_step=False, on_epoch=True, batch_size=1)
        return loss

    def validation_step(self, batch: torch.Tensor, step: int) -> None:
        self.log("val/loss", self.losses[round(self.weight.item()) - 1], batch_size=1)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


def fit_counter(folder: Path, losses: list[float], train_loss: float = 0.0, **trainer: object) -> Counter:
    module = Counter(losses, train_loss)
    config = trainer_config(**{"max_epochs": len(losses), "patience": 2, "loggers": [], **trainer})
    fit(module, [torch.zeros(1)], [torch.zeros(1)], TrainingRun("counter", config, folder, CPU, 0))
    return module


def test_the_weights_of_the_epoch_with_the_lowest_held_out_loss_are_kept(tmp_path: Path):
    assert fit_counter(tmp_path, [5, 3, 4, 2, 3]).weight.item() == 4


def test_training_stops_after_as_many_epochs_without_a_better_one_as_patience_says(tmp_path: Path):
    module = fit_counter(tmp_path, [5, 3, 4, 4, 1, 1], patience=2)
    assert module.steps == 4
    assert module.weight.item() == 2


@pytest.mark.parametrize("losses", [[5, 3, 4, 4, 1, 1], [5, 4, 3]], ids=["stopped early", "all epochs"])
def test_a_run_killed_after_its_last_epoch_trains_no_further(tmp_path: Path, losses: list[float]):
    first = fit_counter(tmp_path, losses)
    again = fit_counter(tmp_path, losses)
    assert again.steps == 0
    assert again.weight.item() == first.weight.item()


@pytest.mark.parametrize(
    ("losses", "train_loss", "which"),
    [([3, math.nan, 1], 0.0, "val/loss is nan in epoch 2"), ([3, 2], math.inf, "train/loss is inf in epoch 1")],
)
def test_a_loss_that_is_not_finite_ends_the_run_with_what_to_do(tmp_path: Path, losses, train_loss, which):
    with pytest.raises(PixelPlayError, match=rf"counter: {which}.*trainer\.learning_rate.*trainer\.precision=fp32"):
        fit_counter(tmp_path, losses, train_loss)
    assert trainer_config(precision="fp32")  # what the message advises is allowed


def fitted(
    folder: Path,
    clips: Batched[Any] | None = None,
    heldout: Batched[Any] | None = None,
    member: str = "conv_ae",
    **trainer: object,
) -> dict[str, torch.Tensor]:
    """Weights of the family's small network after `fit`."""
    config = trainer_config(**{"max_epochs": EPOCHS, "loggers": [], **trainer})
    arguments = small_training(folder, config, clips, heldout, *FAMILY[member])
    fit(*arguments)
    return arguments[0].state_dict()


def same_bits(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    return fitted(tmp_path_factory.mktemp("undisturbed"))


def test_the_small_run_learns_and_its_last_epoch_is_its_best(tmp_path: Path, undisturbed):
    """So the tests below compare what all epochs contributed to."""
    assert same_bits(fitted(tmp_path), undisturbed)
    last = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert same_bits(last["state_dict"], undisturbed)


@pytest.mark.parametrize(
    ("loader", "fatal"),
    [
        pytest.param("clips", 2, id="in the first epoch"),
        pytest.param("clips", STEPS + 1, id="between epochs"),
        pytest.param("clips", STEPS + 3, id="in the middle of an epoch"),
        pytest.param("heldout", 2, id="during validation"),
    ],
)
def test_a_run_that_was_killed_and_goes_on_ends_with_the_same_bits(tmp_path: Path, undisturbed, loader, fatal):
    whole = {"clips": clips_of(tmp_path, "fit", 32, seed=1), "heldout": clips_of(tmp_path, "heldout", 8, seed=2)}
    with pytest.raises(Killed):
        fitted(tmp_path, **{**whole, loader: Dying(whole[loader], fatal)})
    assert not (tmp_path / "run" / "last.ckpt").exists() or fatal > STEPS or loader == "heldout"
    assert same_bits(fitted(tmp_path, **whole), undisturbed)


@pytest.mark.parametrize("member", ["denoising_ae", "st_ae"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_whole_family_goes_on_with_the_same_bits_in_either_precision(tmp_path: Path, member, precision):
    whole = clips_of(tmp_path, "fit", 32, seed=1)
    with pytest.raises(Killed):
        fitted(tmp_path / "killed", Dying(whole, STEPS + 3), member=member, precision=precision)
    resumed = fitted(tmp_path / "killed", whole, member=member, precision=precision)
    assert same_bits(resumed, fitted(tmp_path / "undisturbed", whole, member=member, precision=precision))


def test_a_run_killed_twice_ends_with_the_same_bits(tmp_path: Path, undisturbed):
    whole = clips_of(tmp_path, "fit", 32, seed=1)
    for fatal in (STEPS + 2, STEPS + 2):  # in the second epoch, then in the third
        with pytest.raises(Killed):
            fitted(tmp_path, Dying(whole, fatal))
    assert same_bits(fitted(tmp_path, whole), undisturbed)


SIGKILLED = """
import os, signal, sys
from pathlib import Path
from tests.pipeline import Dying, clips_of, small_training, trainer_config
from pixelplay.training.fit import fit

folder, fatal = Path(sys.argv[1]), int(sys.argv[2])
clips = Dying(clips_of(folder, "fit", 32, seed=1), fatal, lambda: os.kill(os.getpid(), signal.SIGKILL))
fit(*small_training(folder, trainer_config(max_epochs=3, loggers=[]), clips))
"""


def test_a_process_killed_by_sigkill_goes_on_and_ends_with_the_same_bits(tmp_path: Path, undisturbed):
    dead = run(sys.executable, "-c", SIGKILLED, tmp_path, str(STEPS + 3), cwd=ROOT)
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    assert "epoch 2" not in dead.stdout
    assert (tmp_path / "run" / "last.ckpt").exists()
    assert same_bits(fitted(tmp_path), undisturbed)


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path):
    leftover = tmp_path / f".last.ckpt.{HOST}.999999999.tmp"
    leftover.write_bytes(b"half a checkpoint")
    fit_counter(tmp_path, [3, 2])
    assert not leftover.exists()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"data/0") + 200] ^= 64  # within a tensor
    path.write_bytes(data)


def of_another_network(path: Path) -> None:
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"] = {"weight": torch.zeros(3)}
    torch.save(checkpoint, path)


@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
@pytest.mark.parametrize(
    "damage",
    [
        cut,
        flip_bit,
        of_another_network,
        lambda path: path.write_bytes(b"garbage"),
        lambda path: torch.save({"a": 1}, path),
    ],
    ids=["cut", "flipped", "another network", "garbage", "another dictionary"],
)
def test_damaged_checkpoints_are_discarded_and_training_ends_with_the_same_bits(
    tmp_path: Path, undisturbed, caplog, damage, name
):
    whole = clips_of(tmp_path, "fit", 32, seed=1)
    with pytest.raises(Killed):
        fitted(tmp_path, Dying(whole, 2 * STEPS + 2))
    damage(tmp_path / "run" / name)
    with caplog.at_level(logging.WARNING):
        assert same_bits(fitted(tmp_path, whole), undisturbed)
    assert f"starting again, since {tmp_path / 'run' / name}" in caplog.text


def test_ctrl_c_is_passed_on_and_the_run_goes_on_later(tmp_path: Path, undisturbed):
    whole = clips_of(tmp_path, "fit", 32, seed=1)
    handler = signal.getsignal(signal.SIGINT)

    def interrupt() -> None:
        raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            fitted(tmp_path, Dying(whole, STEPS + 2, interrupt))
    finally:
        signal.signal(signal.SIGINT, handler)  # Lightning ignores further ones
    assert same_bits(fitted(tmp_path, whole), undisturbed)


def test_checkpoints_are_written_beside_their_place_and_load_without_unpickling_code(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))  # another disk, as it might be
    fit_counter(tmp_path / "run", [3, 2])
    for name in ("best", "last"):
        checkpoint = torch.load(tmp_path / "run" / f"{name}.ckpt", weights_only=True)
        assert float(checkpoint["state_dict"]["weight"]) == 2
    assert {"optimizer_states", "lr_schedulers", "callbacks"} <= set(checkpoint)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["best.ckpt", "last.ckpt"]


def test_curves_of_all_epochs_are_kept_also_when_the_run_was_killed(tmp_path: Path):
    whole = clips_of(tmp_path, "fit", 32, seed=1)
    with pytest.raises(Killed):
        fitted(tmp_path, Dying(whole, STEPS + 3), loggers=["csv", "tensorboard"])
    fitted(tmp_path, whole, loggers=["csv", "tensorboard"])
    rows = pd.concat([pd.read_csv(path) for path in sorted((tmp_path / "run" / "csv").glob("*/metrics.csv"))])
    for column in ("train/loss", "val/loss"):
        assert rows.loc[rows[column].notna(), "epoch"].tolist() == [0, 1, 2]
    assert list((tmp_path / "run" / "tensorboard").glob("events.out.tfevents.*"))


def test_each_epoch_is_told_with_both_losses(tmp_path: Path, caplog):
    caplog.set_level(logging.INFO)
    fit_counter(tmp_path, [5, 3])
    told = [record.message for record in caplog.records if "epoch" in record.message]
    assert any("epoch 2/2" in line and "held-out 3.0" in line for line in told), told


def test_a_device_that_is_not_there_is_refused():
    absent = "cuda" if not torch.cuda.is_available() else "mps"
    with pytest.raises(ConfigError, match=f"device={absent}.*cpu"):
        find_device(absent)
    assert find_device("cpu") == CPU


def test_a_numbered_device_is_found_and_another_number_told_with_those_there_are():
    gpus = {"cuda": 2, "mps": 0, "cpu": 1}
    assert choose_device("auto", gpus) == torch.device("cuda")
    assert choose_device("cuda:1", gpus) == torch.device("cuda", 1)
    assert choose_device("auto", {"cuda": 0, "mps": 1, "cpu": 1}) == torch.device("mps")
    with pytest.raises(ConfigError, match="device=cuda:2: no such device; PyTorch finds 2 of them: cuda:0 to cuda:1"):
        choose_device("cuda:2", gpus)
    with pytest.raises(ConfigError, match=r"device=cuda:1: .* finds 1 of them: cuda:0$"):
        choose_device("cuda:1", {**gpus, "cuda": 1})
    with pytest.raises(
        ConfigError, match=r"device=cuda:1: PyTorch 2.* finds no cuda device .*; it finds cpu: set device="
    ):
        choose_device("cuda:1", {**gpus, "cuda": 0})


def test_lightning_computes_on_the_very_device_that_was_asked_for():
    assert trainer_devices(torch.device("cuda", 1)) == ("gpu", [1])
    assert trainer_devices(torch.device("cuda")) == ("gpu", [0])
    assert trainer_devices(torch.device("mps")) == ("mps", 1)
    assert trainer_devices(CPU) == ("cpu", 1)


def test_precision_is_as_asked_for_and_auto_goes_by_the_hardware():
    assert autocast_bf16("bf16", CPU)
    assert not autocast_bf16("fp32", CPU)
    assert not autocast_bf16("auto", torch.device("mps"))


def test_bf16_training_keeps_float32_weights_and_learns_much_the_same(tmp_path: Path, undisturbed):
    weights = fitted(tmp_path, precision="bf16")
    assert all(w.dtype == undisturbed[name].dtype for name, w in weights.items())
    flat = [torch.cat([w.flatten().float() for w in state.values()]) for state in (weights, undisturbed)]
    assert float(F.cosine_similarity(*flat, dim=0)) > 0.99
    assert not same_bits(weights, undisturbed)
