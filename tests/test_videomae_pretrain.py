"""A VideoMAE of the run's own: learnt from normal footage, once for both detectors, and the same when it was killed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.pipeline import CPU, shipped, trainer_config
from tests.small_videomae import COLOUR, SIDE, colour_video, walking_square

from pixelplay.cli import load_config
from pixelplay.detectors import registry
from pixelplay.detectors.videomae import pretrain
from pixelplay.detectors.videomae.model import VideoMAE
from pixelplay.detectors.videomae.pretrain import PretrainingSettings, pretrained_videomae
from pixelplay.detectors.videomae.tokens import rotating_masks
from pixelplay.errors import ConfigError, DataError, MissingArtifactError
from pixelplay.run.artifacts import read_table
from pixelplay.run.files import RunFiles
from pixelplay.stages import fuse, prepare, score, train
from pixelplay.training.clips import ShuffledBatches
from pixelplay.training.run import TrainingRun
from pixelplay.videos.video import Video

BOTH = ["videomae_reconstruction", "videomae_profile"]
TINY = "detector=[videomae_reconstruction_tiny,videomae_profile_tiny]"
FILES = ("config.json", "model.safetensors", "preprocessor_config.json")


def settings(**changes: object) -> PretrainingSettings:
    own = {"frames": 4, "patch": 8, "clips_per_epoch": 24, "max_epochs": 3}
    values = load_config(["experiment=tiny", TINY]).detectors[BOTH[0]].training["pretraining"]
    return PretrainingSettings.model_validate(values | own | changes)


def footage(folder: Path) -> tuple[list[Video], list[Video]]:
    fit = [colour_video(folder, f"fit{i}", walking_square(40, seed=i)) for i in range(2)]
    return fit, [colour_video(folder, "heldout", walking_square(16, seed=9))]


def trained(
    folder: Path, shared: Path, asked: PretrainingSettings | None = None, name: str = "one", **trainer: object
) -> Path:
    run = TrainingRun(name, trainer_config(loggers=[], **trainer), shared / name, CPU, 0, shared)
    return pretrained_videomae(*footage(folder), asked or settings(), COLOUR, run)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("once")
    return trained(folder, folder / "shared")


def test_it_has_the_asked_for_size_and_loads_like_one_of_the_hub(once: Path):
    model = VideoMAE.load(once, CPU, bf16=False)
    assert (model.frames, model.tubelet, model.patch, model.side) == (4, 2, 8, SIDE)
    config = model.model.config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (32, 1, 2)
    assert (config.decoder_hidden_size, config.decoder_num_hidden_layers, config.intermediate_size) == (16, 1, 128)
    assert config.norm_pix_loss and list(model._processor.image_std) == [0.229, 0.224, 0.225]


def test_its_encoding_is_normalised_as_that_of_the_hub_s_so_that_no_channel_outgrows_all_others(once: Path):
    assert VideoMAE.load(once, CPU, bf16=False).model.videomae.layernorm is not None


def test_what_it_has_learnt_it_predicts_better_than_one_that_has_not(tmp_path: Path):
    folders = [
        trained(tmp_path, tmp_path / f"{epochs}", settings(max_epochs=epochs, learning_rate=rate))
        for epochs, rate in ((1, 1e-9), (12, 5e-3))
    ]
    clips = np.stack([walking_square(4, seed=7)])
    losses = []
    for folder in folders:
        model = VideoMAE.load(folder, CPU, bf16=False)
        losses.append(float(model.mean_errors(model.inputs(clips), rotating_masks(0, model.grid, 10))[1]))
    assert losses[1] < 0.9 * losses[0]


def test_killed_in_the_middle_of_an_epoch_it_ends_with_the_same_bytes(once: Path, tmp_path: Path, monkeypatch):
    from pixelplay.training.fit import TrainingModule

    step = TrainingModule.training_step

    def killed(self: TrainingModule, batch: torch.Tensor, number: int) -> torch.Tensor:
        if (self.current_epoch, number) == (1, 1):
            raise KeyboardInterrupt
        return step(self, batch, number)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainingModule, "training_step", killed)
        trained(tmp_path, tmp_path / "shared")
    resumed = trained(tmp_path, tmp_path / "shared")
    assert resumed.parent.name == once.parent.name  # its name depends on no folder
    for name in FILES:
        assert (resumed / name).read_bytes() == (once / name).read_bytes(), name


def test_each_epoch_hides_other_tokens_and_held_out_clips_always_the_same(tmp_path: Path, monkeypatch):
    asked: list[list[str]] = []
    masks = pretrain.random_masks
    monkeypatch.setattr(pretrain, "random_masks", lambda *a: asked.append(a[1]) or masks(*a))
    trained(
        tmp_path, tmp_path / "shared", settings(max_epochs=2, clips_per_epoch=16)
    )  # two steps of eight clips an epoch
    steps, heldout = ([names for names in asked if names[0].startswith("held-out") is of] for of in (False, True))
    assert len({name for names in steps for name in names}) == 2 * 16
    assert len(heldout) == 2 and heldout[0] == heldout[1] and len(set(heldout[0])) == 4


def test_who_asks_second_finds_it_and_other_settings_take_its_place(tmp_path: Path, monkeypatch):
    short = settings(max_epochs=1, clips_per_epoch=8)
    first = trained(tmp_path, tmp_path / "shared", short)
    with monkeypatch.context() as patch:
        patch.setattr("pixelplay.detectors.videomae.pretrain._train", None)  # a second training would fail
        assert trained(tmp_path, tmp_path / "shared", short, name="two") == first
        other = {"max_epochs": 9, "patience": 1, "batch_size": 3, "learning_rate": 0.1, "weight_decay": 0.5}
        assert trained(tmp_path, tmp_path / "shared", short, **other) == first  # the detectors' trainer
    second = trained(tmp_path, tmp_path / "shared", settings(max_epochs=1, clips_per_epoch=8, mask_ratio=0.5))
    assert second != first and second.is_dir() and not first.parent.exists()


def test_no_footage_is_refused(tmp_path: Path):
    run = TrainingRun("one", trainer_config(loggers=[]), tmp_path / "run", CPU, 0)
    with pytest.raises(DataError, match="no normal footage to cut clips from"):
        pretrained_videomae([], [], settings(), COLOUR, run)


def test_an_epoch_takes_no_more_clips_than_asked_for_and_others_in_the_next():
    batches = ShuffledBatches(100, 8, seed=0, limit=20)
    epochs = []
    for epoch in (0, 1):
        batches.set_epoch(epoch)
        drawn = list(batches)
        assert len(batches) == 3 and [len(batch) for batch in drawn] == [8, 8, 4]
        epochs.append({item for batch in drawn for item in batch})
    assert [len(epoch) for epoch in epochs] == [20, 20] and epochs[0] != epochs[1]
    few = [item for batch in ShuffledBatches(10, 8, seed=0, limit=20) for item in batch]
    assert sorted(few) == list(range(10))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (BOTH[0], "frames=15", r"pretraining\.frames=15: must be divisible by 2"),
        (BOTH[1], "encoder.heads=3", r"pretraining\.encoder\.width=32: must be divisible by 3"),
        (BOTH[0], "decoder.width=15", r"pretraining\.decoder\.width=15: must be divisible by 2"),
        (BOTH[1], "patch=20", r"pretraining\.patch=20: must divide the frames' side of 48 pixels"),
        (BOTH[0], "mask_ratio=0.999", r"pretraining\.mask_ratio=0\.999: .*hides 72 of 72 tokens"),
        (BOTH[1], "mask_ratio=1.0", r"pretraining\.mask_ratio=1\.0"),
        (BOTH[0], "clips_per_epoch=0", r"pretraining\.clips_per_epoch=0"),
        (BOTH[1], "depth=3", r"pretraining\.depth: unknown key"),
    ],
)
def test_impossible_sizes_are_refused_before_any_work(name: str, change: str, message: str):
    config = shipped(f"{name}_tiny", f"training.pretraining.{change}", run=["experiment=tiny"])
    with pytest.raises(ConfigError, match=rf"detectors\.{name}\.training\.{message}"):
        registry.check_settings({name: config})


def test_its_own_model_sees_whole_frames_only():
    config = shipped("videomae_profile_tiny", "training.center_crop=true", run=["experiment=tiny"])
    with pytest.raises(ConfigError, match=r"center_crop=true is for pretrained models"):
        registry.check_settings({"videomae_profile": config})


def test_in_a_run_both_detectors_share_one_model_keep_it_and_join_the_fusion(small_run: list[str], capfd):
    options = [TINY if option.startswith("detector=") else option for option in small_run if "conv_ae." not in option]
    config = load_config([*options, "trainer=tiny", "restore.flip=none", "workers=1"])
    files = RunFiles.of(config)
    prepare.run(config)
    for stage in (train, score, fuse):
        assert stage.pending(config) is not None
        stage.run(config)
        assert stage.pending(config) is None
    assert len(list(files.shared_models().iterdir())) == 1
    kept = [files.detector(name) / "videomae/model.safetensors" for name in BOTH]
    assert kept[0].read_bytes() == kept[1].read_bytes()
    fused = read_table(files.fused, made_by="fuse")
    assert {*BOTH, "fused"} <= set(fused["stream"])
    shared = next(files.shared_models().iterdir())
    kept[0].parent.rename(shared / "taken")
    detector = registry.create(BOTH[0], config.detectors[BOTH[0]], CPU)
    with pytest.raises(MissingArtifactError, match=r"videomae_reconstruction/videomae is missing: run `python"):
        detector.load(files.detector(BOTH[0]))
