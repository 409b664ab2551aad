"""Several seeds: each is trained and scored as alone, their mean goes on, and their spread is reported."""

import json

import numpy as np
import pandas as pd
import pytest

from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.errors import ConfigError
from pixelplay.run.files import RunFiles
from pixelplay.stages import evaluate, events, explain, fuse, prepare, score, train


@pytest.fixture
def options(small_run: list[str]) -> list[str]:
    return [*small_run, "trainer=tiny", "trainer.max_epochs=1", "evaluate.bootstrap.n_bootstrap=2"]


def run(*options: str) -> Config:
    config = load_config(list(options))
    for stage in (prepare, train, score, fuse):
        stage.run(config)
    return config


def table(config: Config, name: str) -> pd.DataFrame:
    return pd.read_parquet(RunFiles.of(config).scores(name))


def test_the_scores_of_several_seeds_are_averaged_and_each_is_that_of_the_seed_alone(options: list[str]):
    config = run(*options, "seeds=[3,5]")
    for seed in (3, 5):
        alone = run(*options, f"seed={seed}", f"run=seed{seed}")
        assert alone.dataset.heldout.seed == config.dataset.heldout.seed
        pd.testing.assert_frame_equal(table(config, f"conv_ae-seed{seed}"), table(alone, "conv_ae"))
    first, second = (table(config, f"conv_ae-seed{seed}")["score"].to_numpy(np.float64) for seed in (3, 5))
    assert not np.array_equal(first, second)
    np.testing.assert_allclose(table(config, "conv_ae")["score"], (first + second) / 2, rtol=1e-6)
    assert fuse.pending(config) is None
    assert RunFiles.of(config).detector("conv_ae", 5).is_dir() and not RunFiles.of(config).detector("conv_ae").exists()


def test_one_more_seed_trains_that_one_alone(options: list[str]):
    run(*options, "seeds=[3,5]")
    more = load_config([*options, "seeds=[3,5,8]"])
    assert [one.name for one in train.tasks(more) if one.pending()] == ["train-conv_ae-seed8"]
    waiting = [one.name for one in score.tasks(more) if one.record() is None or one.changed()]
    assert waiting == ["score-conv_ae-seed8", "score-conv_ae"]


def test_the_spread_over_seeds_stands_in_the_metrics_and_in_the_table(options: list[str], caplog):
    caplog.set_level("INFO")
    config = run(*options, "seeds=[3,5]")
    events.run(config)
    evaluate.run(config)
    found = json.loads(RunFiles.of(config).metrics.read_text())["detectors"]["conv_ae"]["seeds"]
    assert set(found) == {"ap", "auc_micro", "auc_macro", "eer"}
    for figure in found.values():
        assert figure["mean"] == pytest.approx(np.mean(figure["seeds"]))
        assert figure["deviation"] == pytest.approx(np.std(figure["seeds"], ddof=1))
    assert f"{found['ap']['mean']:.4f} ± {found['ap']['deviation']:.4f}" in caplog.text


def test_pictures_are_of_the_first_seed_s_detector(options: list[str]):
    config = run(*options, "seeds=[3,5]")
    events.run(config)
    explain.run(config)


def test_one_seed_alone_is_called_seed():
    with pytest.raises(ConfigError, match="seeds"):
        load_config(["seeds=[1]"])
    with pytest.raises(ConfigError, match="listed more than once"):
        load_config(["seeds=[1,1]"])
