"""A fusion as a file: `fusion_file=FILE.yaml` takes it in place of `fusion`, a search for weights writes it.

It has the keys of `configs/fusion/default.yaml`, at its top level.
"""

from pathlib import Path

from pixelplay.run.yaml_file import read_settings
from pixelplay.scores.settings import FusionConfig


def read(path: Path) -> FusionConfig:
    """The fusion in a YAML file; raises ConfigError that names the file and every bad key."""
    return read_settings(path, FusionConfig, "fusion_file", of="a fusion", root="fusion")


def to_text(config: FusionConfig) -> str:
    """YAML that `read` gives the same fusion for."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(config.model_dump(mode="json")))
