"""VideoPatchCore without pretrained weights: the run trains an in-domain encoder."""

from pathlib import Path

import faiss
import numpy as np
import pytest
import torch
from tests.patchcore import NAME, STREAMS, by_id, config, footage, interrupted_at
from tests.pipeline import CPU, trainer_config

from pixelplay.backbones import in_domain as own_encoder
from pixelplay.backbones.contrastive import EncoderTraining
from pixelplay.backbones.in_domain import Cutting, Encoder
from pixelplay.backbones.state_dict import load_network
from pixelplay.config import Config
from pixelplay.detectors.settings import DetectorConfig
from pixelplay.detectors.videopatchcore import detector as videopatchcore
from pixelplay.detectors.videopatchcore.detector import VideoPatchCore
from pixelplay.errors import ConfigError, DamagedArtifactError, DataError
from pixelplay.objects.boxes import boxes_of
from pixelplay.run.files import RunFiles
from pixelplay.training.run import TrainingRun

pytestmark = pytest.mark.usefixtures("remembered")

FILES = ("encoder.safetensors", "spatial.faiss", "temporal.faiss", "global.faiss", "detector.json")


def in_domain(*overrides: str) -> Config:
    encoder = "weights.encoder"
    small = [
        f"{encoder}.widths=[4,8,8,16]",
        f"{encoder}.max_epochs=2",
        f"{encoder}.batch_size=8",
        f"{encoder}.contrast_channels=8",
        f"{encoder}.image_size=64",
    ]
    return config("weights.backbone=in_domain", "weights.backbone_file=null", *small, *overrides)


def settings_of(*overrides: str) -> DetectorConfig:
    return in_domain(*overrides).detectors[NAME]


def trained(folder: Path, *overrides: str) -> VideoPatchCore:
    index = footage()
    detector = VideoPatchCore(NAME, settings_of(*overrides), CPU)
    detector.fit(index.fit, index.held, TrainingRun(NAME, trainer_config(), folder, CPU, 0))
    return detector


@pytest.fixture(scope="module")
def saved(patchcore_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(patchcore_run)
        trained(folder / "training").save(folder / "saved")
    return folder / "saved"


def test_with_its_own_encoder_it_finds_the_strange_object_after_being_loaded(saved: Path):
    detector = VideoPatchCore(NAME, settings_of(), CPU)
    detector.load(saved)
    video = by_id(footage().test, "strange")
    streams = detector.score(video).streams
    assert list(streams) == STREAMS
    assert streams[STREAMS[1]][12:15].min() > np.r_[streams[STREAMS[1]][:7], streams[STREAMS[1]][20:]].max()


def test_killed_at_several_moments_it_ends_with_the_same_bytes(saved: Path, tmp_path: Path, monkeypatch):
    """While crops are cut, in the second epoch, and while features are stored: each time it goes on from there."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    write = Cutting.write
    for owner, name, work in (
        (Cutting, "write", lambda *given: killed() if given[2].stem == "00001" else write(*given)),
        (EncoderTraining, "on_train_epoch_start", lambda module: killed() if module.current_epoch else None),
        (videopatchcore, "store", interrupted_at("00001")),
    ):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(owner, name, work)
            trained(tmp_path / "training")
    trained(tmp_path / "training").save(tmp_path / "saved")
    for name in FILES:
        assert (tmp_path / "saved" / name).read_bytes() == (saved / name).read_bytes(), name


def test_another_coreset_needs_neither_another_encoder_nor_other_features(saved: Path):
    def times() -> dict[Path, int]:
        kept = ("encoder-*/encoder.safetensors", "features-*/*/*")
        return {path: path.stat().st_mtime_ns for part in kept for path in (saved.parent / "training").glob(part)}

    before = times()
    detector = trained(saved.parent / "training", f"detectors.{NAME}.training.coreset.spatial.count=20")
    assert len(detector._banks["spatial"]) == 20
    assert before and times() == before


@pytest.mark.parametrize(("channels", "size"), [("null", 24), ("6", 6)])
def test_descriptors_have_all_channels_or_as_many_groups_as_asked_for(channels: str, size: int):
    settings = videopatchcore.check(NAME, settings_of(f"weights.encoder.channels={channels}"))[0]
    assert settings.described.channels == size
    pretrained = videopatchcore.check(NAME, config().detectors[NAME])[0]
    assert pretrained.described == pretrained.patches


def test_its_distances_are_mahalanobis_and_those_of_a_pretrained_backbone_are_not(saved: Path, patchcore_run: Path):
    own = faiss.read_index(str(saved / "spatial.faiss"))
    pretrained = faiss.read_index(str(RunFiles.of(config()).detector(NAME) / "spatial.faiss"))
    assert (own.chain.size(), pretrained.chain.size()) == (2, 1)
    assert own.d == 24 and pretrained.d == 8


@pytest.mark.parametrize("key", ["channels", "contrast_channels"])
def test_more_groups_than_channels_are_refused_before_anything_is_trained(key: str):
    with pytest.raises(ConfigError, match=f"{key}=25 is more than the 24 channels"):
        VideoPatchCore(NAME, settings_of(f"weights.encoder.{key}=25"), CPU)


def test_a_damaged_encoder_is_refused_with_its_file(saved: Path, tmp_path: Path):
    (tmp_path / "encoder.safetensors").write_bytes((saved / "encoder.safetensors").read_bytes()[:100])
    with pytest.raises(DamagedArtifactError, match=r"encoder\.safetensors is damaged .*python src/train\.py"):
        load_network(Encoder([4, 8, 8, 16]), tmp_path / "encoder.safetensors", made_by="train")


def test_pairs_show_objects_and_whole_frames_at_two_moments(tmp_path: Path):
    video = footage().fit[0]
    config_of_tubes = in_domain().objects.tubes
    Cutting(config_of_tubes, apart=3, size=32, share=1.0).write(video, tmp_path / "pairs.npy", CPU, (0,))
    pairs = np.load(tmp_path / "pairs.npy")
    assert pairs.dtype == np.uint8 and pairs.shape[1:] == (2, 32, 32, 3)
    frames = list(video.full_size())
    position = boxes_of(video).position
    clips = [(0, 2), (4, 6), (8, 10), (12, 14), (13, 15)]  # first and middle of each; the last ends with the video
    objects = sum(int((position == middle).sum()) for _, middle in clips)
    assert len(frames) == 17 and objects and len(pairs) == objects + len(clips)
    whole = pairs[int((position == 2).sum())].astype(float)  # the first clip's whole frame comes after its objects
    for moment, frame in ((0, frames[0]), (1, frames[3])):
        shrunk = torch.nn.functional.interpolate(
            torch.from_numpy(frame).permute(2, 0, 1)[None].float(), (32, 32), mode="area"
        )[0]
        assert np.abs(whole[moment] - shrunk.permute(1, 2, 0).numpy()).mean() < 3


def test_no_more_pairs_are_cut_than_asked_for(tmp_path: Path, monkeypatch):
    index, shares = footage(), []
    monkeypatch.setattr(own_encoder, "_cut", lambda videos, folder, cutting, run: shares.append(cutting.share) or [])
    for pairs in (10, 10**6):
        detector = VideoPatchCore(NAME, settings_of(f"weights.encoder.max_pairs={pairs}"), CPU)
        with pytest.raises(DataError, match="no crop of normal footage"):
            detector.fit(index.fit, index.held, TrainingRun(NAME, trainer_config(), tmp_path, CPU, 0))
    assert 0 < shares[0] < 0.5 and shares[1] == 1.0
