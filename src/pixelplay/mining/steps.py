"""The steps of `src/mine.py`: each reads what those before wrote; all run in order unless one is named."""

import importlib
from typing import TYPE_CHECKING

from pixelplay.errors import ConfigError
from pixelplay.mining.files import MiningFiles
from pixelplay.mining.settings import MINING_STEPS
from pixelplay.run.atomic import remove_leftovers, require_writable
from pixelplay.run.locks import lock
from pixelplay.settings import alternatives

if TYPE_CHECKING:
    from pixelplay.config import Config


def run(config: "Config") -> None:
    """Run `config.step`, or every step; raises ConfigError for another name."""
    if config.step is not None and config.step not in MINING_STEPS:
        raise ConfigError(f"step={config.step}: no such step of mine.py; {alternatives(config.step, [*MINING_STEPS])}")
    chosen = MINING_STEPS if config.step is None else (config.step,)
    if "score" in chosen:
        _require_scorable(config)
    files = MiningFiles.of(config)
    require_writable(files.folder, "mine.folder")
    with lock(files.folder / ".lock", f"the mining run {files.folder}/"):
        remove_leftovers(files.folder)
        for step in chosen:
            module = importlib.import_module(f"pixelplay.mining.{step}")  # only one imports torch, one matplotlib
            module.run(config, files)


def _require_scorable(config: "Config") -> None:
    """Raise ConfigError for a seed or device that can't be used, before a large collection is listed."""
    _ = config.mine.mask_seed
    if config.device not in ("auto", "cpu"):
        from pixelplay.training.device import find_device

        find_device(config.device)
