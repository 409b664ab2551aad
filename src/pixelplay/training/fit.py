"""Resumable training with Lightning, which ends with the weights of the lowest held-out loss."""

import errno
import logging
import math
import sys
import time
import warnings
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch.nn import functional as F

from pixelplay.errors import PixelPlayError
from pixelplay.progress import SELDOM, duration
from pixelplay.run.atomic import atomic, remove_leftovers
from pixelplay.training.clips import Augmentation, Batched, OrderedBatches, ShuffledBatches, as_input, loader
from pixelplay.training.device import autocast_bf16, trainer_devices
from pixelplay.training.run import TrainerConfig, TrainingRun, seed_of

log = logging.getLogger(__name__)

RESUMED = {"epoch", "global_step", "loops", "callbacks", "optimizer_states", "lr_schedulers"}  # keys of a checkpoint
ESTIMATE_STEPS = 5  # timed, to estimate the time of all epochs


class TrainingModule(LightningModule):
    """What all trainings share: two logged losses, and AdamW, with one cosine over `max_epochs` unless overridden."""

    fused: bool | None = None  # AdamW's fused kernel: faster for large networks, rounds differently

    def __init__(self, config: TrainerConfig):
        super().__init__()
        self._config = config

    def loss(self, batch: torch.Tensor, epoch: int | None, step: int) -> torch.Tensor:
        """The scalar loss of a batch; `epoch` is None for held-out ones.

        Random numbers must depend on seed, epoch and step alone, so that a resumed run equals an undisturbed one.
        """
        raise NotImplementedError

    def training_step(self, batch: torch.Tensor, step: int) -> torch.Tensor:
        loss = self.loss(batch, self.current_epoch, step)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: torch.Tensor, step: int) -> None:
        self.log("val/loss", self.loss(batch, None, step), batch_size=len(batch))

    def configure_optimizers(self) -> Any:
        rate, decay = self._config.learning_rate, self._config.weight_decay
        optimizer = torch.optim.AdamW(self.parameters(), rate, weight_decay=decay, fused=self.fused)
        return [optimizer], [self.scheduler(optimizer)]

    def scheduler(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        """Stepped once an epoch."""
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self._config.max_epochs)


class Reconstruction(TrainingModule):
    """Learns to reconstruct clips: augmented ones in training, held-out ones as they are.

    model: reconstructs clips float32 (B, T, H, W) in [0, 1], which it takes in its `memory_format`.
    """

    fused = True

    def __init__(self, model: Any, augmentation: Augmentation, config: TrainerConfig, seed: int):
        super().__init__(config)
        self.model, self._augmentation, self._seed = model, augmentation, seed

    def loss(self, batch: torch.Tensor, epoch: int | None, step: int) -> torch.Tensor:
        inputs = target = as_input(batch, self.model.memory_format)
        if epoch is not None:
            torch.manual_seed(seed_of(self._seed, epoch, step))  # for the noise and for dropout
            inputs, target = self._augmentation.apply(inputs)
        return F.mse_loss(self.model(inputs), target)


def fit_on(
    module: TrainingModule, items: Batched[Any], held: Batched[Any], run: TrainingRun, limit: int | None = None
) -> None:
    """`fit` to shuffled batches of `items`, `limit` items an epoch at most, with `held` as the held-out ones."""
    shuffled = ShuffledBatches(len(items), run.config.batch_size, run.seed, limit)
    ordered = OrderedBatches(len(held), run.config.batch_size)
    fit(module, loader(items, shuffled, run.device), loader(held, ordered, run.device), run)


def fit(module: LightningModule, train: Iterable[Any], heldout: Iterable[Any], run: TrainingRun) -> None:
    """Train `module`; it ends with the weights of the epoch with the lowest `val/loss`.

    Goes on from the last completed epoch in `run.folder`, or from the start if its checkpoints are damaged. Raises
    PixelPlayError when the loss is not finite.
    """
    for noisy in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*does not have many workers.*")  # they would have nothing to do
    warnings.filterwarnings("ignore", ".*exists and is not empty.*")  # a resumed run
    warnings.filterwarnings("ignore", ".*(log_every_n_steps|LeafSpec).*")  # Lightning's call of PyTorch
    remove_leftovers(run.folder)
    best = ModelCheckpoint(run.folder, "best", monitor="val/loss", save_weights_only=True, enable_version_counter=False)
    last = ModelCheckpoint(run.folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    stopping = EarlyStopping("val/loss", patience=run.config.patience, check_finite=False)
    bars = [TQDMProgressBar(leave=False)] if sys.stderr.isatty() else []
    accelerator, devices = trainer_devices(run.device)
    trainer = Trainer(
        accelerator=accelerator,
        devices=devices,
        precision="bf16-mixed" if autocast_bf16(run.config.precision, run.device) else "32-true",
        max_epochs=run.config.max_epochs,
        callbacks=[stopping, _Progress(run.name, stopping), best, last, *bars],
        plugins=[_AtomicCheckpoints()],
        logger=_loggers(run),
        enable_progress_bar=bool(bars),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        deterministic="warn",
        log_every_n_steps=1,
    )
    newest = _sound_checkpoint(module, run)
    try:
        trainer.fit(module, train, heldout, ckpt_path=newest, weights_only=True)
    except SystemExit:  # raised by Lightning on SIGINT and SIGTERM
        raise KeyboardInterrupt from None
    module.load_state_dict(torch.load(run.folder / "best.ckpt", map_location="cpu", weights_only=True)["state_dict"])


def _sound_checkpoint(module: LightningModule, run: TrainingRun) -> Path | None:
    """The checkpoint of the last completed epoch, to resume from; None if there is none.

    Resuming also needs the best weights so far. If either is damaged, both are deleted: only a start from the beginning
    then ends with the weights of an undisturbed run.
    """
    last, best = run.folder / "last.ckpt", run.folder / "best.ckpt"
    if not last.exists() and not best.exists():
        return None
    reason = _damage(last, module, RESUMED) or _damage(best, module, set())
    if reason is None:
        log.info(f"{run.name}: going on from {last}")
        return last
    if last.exists():  # else the first epoch was not completed
        log.warning(f"{run.name}: starting again, since {reason}")
    last.unlink(missing_ok=True)
    best.unlink(missing_ok=True)
    return None


def _damage(path: Path, module: LightningModule, keys: set[str]) -> str | None:
    """Why a checkpoint can't be used for `module`, or None; it must have these `keys` beside the weights."""
    try:
        with zipfile.ZipFile(path) as file:
            if file.testzip():  # PyTorch does not check the checksums
                return f"{path} is damaged"
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        if not keys <= set(checkpoint):
            return f"{path} is not the checkpoint of a training run"
        states = checkpoint["state_dict"], module.state_dict()
        there, own = ({name: tensor.shape for name, tensor in state.items()} for state in states)
    except Exception as error:  # PyTorch, pickle and zipfile raise various errors for damaged files
        if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT, errno.EINVAL):
            raise  # a disk error
        return f"{path} can't be read ({error})"
    return None if there == own else f"{path} is of another network"


class _AtomicCheckpoints(TorchCheckpointIO):
    """Lightning's own writer moves files between disks, so that a kill can leave half a file."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        with atomic(Path(path)) as temporary:
            torch.save(checkpoint, temporary)


class _Progress(Callback):
    """Logs the losses of the first, the last and some other epochs, and the time left; stops when one is not finite."""

    def __init__(self, name: str, stopping: EarlyStopping):
        self._name, self._stopping = name, stopping
        self._epoch_start, self._estimate_start, self._estimated = 0.0, 0.0, False
        self._told, self._untold = -math.inf, ""  # when the last epoch was logged; the line of one that was not

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        if self._stopping.wait_count >= self._stopping.patience:  # resumed after its last epoch
            trainer.should_stop = True
        parameters = sum(p.numel() for p in module.parameters())
        log.info(f"{self._name}: {parameters / 1e6:.2f} M parameters, {trainer.num_training_batches} steps an epoch")

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._epoch_start = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, i: int) -> None:
        if i in (0, ESTIMATE_STEPS):
            outputs["loss"].item()  # waits for the device
        if i == 0:  # the first step warms up
            self._estimate_start = time.monotonic()
        if not self._estimated and i == ESTIMATE_STEPS:
            step = (time.monotonic() - self._estimate_start) / ESTIMATE_STEPS
            left = ((trainer.max_epochs or 0) - trainer.current_epoch) * trainer.num_training_batches * step
            log.info(f"{self._name}: {step:.2f} s a step; the remaining epochs take at most {duration(left)}")
            self._estimated = True

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        epoch, seconds = trainer.current_epoch + 1, time.monotonic() - self._epoch_start
        train, held = (float(trainer.callback_metrics[name]) for name in ("train/loss", "val/loss"))
        for name, loss in (("train/loss", train), ("val/loss", held)):  # not at each step: that would wait for the GPU
            if not math.isfinite(loss):
                raise PixelPlayError(
                    f"{self._name}: {name} is {loss} in epoch {epoch}; "
                    "lower trainer.learning_rate (or the detector's own), or set trainer.precision=fp32"
                )
        losses = f"train {train:.6f}  held-out {held:.6f}"
        self._untold = f"{self._name}: epoch {epoch}/{trainer.max_epochs}  {losses}  {seconds:.0f} s"
        if time.monotonic() - self._told >= SELDOM:
            self._tell()

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        if self._untold:
            self._tell()

    def _tell(self) -> None:
        log.info(self._untold)
        self._told, self._untold = time.monotonic(), ""


def _loggers(run: TrainingRun) -> list[Logger]:
    makers: dict[str, Callable[[], Logger | None]] = {
        "csv": lambda: CSVLogger(run.folder, name="csv"),  # a version per start: it would empty a used folder
        "tensorboard": lambda: TensorBoardLogger(run.folder, name="tensorboard", version=""),
        "wandb": lambda: _wandb_logger(run),
    }
    return [logger for name in run.config.loggers if (logger := makers[name]()) is not None]


def _wandb_logger(run: TrainingRun) -> Logger | None:
    """Adds the curves of this training to the run's W&B run, in a group of their own; None where there is none."""
    opened = run.open_wandb() if run.open_wandb else None
    if opened is None:
        return None
    group = run.name.replace(": ", "/")  # of what a detector trains first, too
    opened.define_metric(f"{group}/*", step_metric="trainer/global_step")
    logger = WandbLogger(experiment=opened, prefix=group)
    logger.LOGGER_JOIN_CHAR = "/"  # pyright: ignore[reportAttributeAccessIssue]
    return logger
