"""Weights as tensors by name, in files and on the Hugging Face hub. Code in a file is never executed."""

import pickle
import shlex
import textwrap
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pixelplay.backbones.frozen import BATCH_COUNTER
from pixelplay.errors import WeightsError
from pixelplay.run.artifacts import damaged, missing
from pixelplay.run.atomic import atomic

HUB_TIMEOUT = 10  # seconds to wait for an answer of the hub
MAX_LINE = 400  # characters of each line of PyTorch's list of mismatched keys

StateDict = dict[str, torch.Tensor]


def read_state_dict(path: Path) -> StateDict:
    """Tensors of a .safetensors file, or of a PyTorch file with a state dict, bare or under the key `state_dict`.

    Raises WeightsError for a file that is missing, damaged, TorchScript, or holds anything but tensors.
    """
    if not path.is_file():
        raise WeightsError(f"{path} is missing or not a file: weights.backbone_file must name a file of weights")
    try:
        value = load_file(path) if path.suffix == ".safetensors" else _read_pytorch(path)
    except WeightsError:
        raise
    except Exception as error:  # torch.load and safetensors raise various errors for damaged files
        raise WeightsError(f"{path} can't be read as weights ({short(error)}): download it again") from None
    if isinstance(value, dict) and isinstance(value.get("state_dict"), dict):  # open_clip's training checkpoints
        value = value["state_dict"]
    if not isinstance(value, dict) or not value or not all(isinstance(v, torch.Tensor) for v in value.values()):
        raise WeightsError(f"{path} holds no weights: it must hold a state dict, tensors by name")
    return {str(name).removeprefix("module."): tensor for name, tensor in value.items()}  # DDP adds the prefix


def _read_pytorch(path: Path) -> object:
    if zipfile.is_zipfile(path) and any(name.endswith("constants.pkl") for name in zipfile.ZipFile(path).namelist()):
        raise WeightsError(
            f"{path} is refused: it is a TorchScript archive, which contains code, as OpenAI distributes CLIP. Use the "
            "same weights as open_clip_model.safetensors from the hub"
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # PyTorch's own message recommends loading it unsafely
        if "GLOBAL" not in str(error):
            raise ValueError("not a PyTorch file") from None
        raise WeightsError(
            f"{path} is refused: it holds more than tensors, and loading it could run code. Use the same weights as "
            ".safetensors, or save only the network's state dict with torch.save"
        ) from None


def save_network(network: nn.Module, path: Path) -> None:
    """Write a network's state as .safetensors, atomically."""
    with atomic(path) as temporary:
        save_file({name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}, temporary)


def load_network(network: nn.Module, path: Path, made_by: str) -> None:
    """Fill `network` with exactly the tensors that stage `made_by` wrote with `save_network`.

    Raises MissingArtifactError, or DamagedArtifactError, also for values that are not finite.
    """
    try:
        state = load_file(path)
        bad = [name for name, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
        if bad:
            raise ValueError(f"{bad[0]} is not finite")
        network.load_state_dict(state)
    except FileNotFoundError:
        raise missing(path, made_by) from None
    except Exception as error:  # safetensors raises plain Exceptions, PyTorch RuntimeErrors
        raise damaged(path, made_by, error) from None


@contextmanager
def strictly(source: str, name: str) -> Iterator[None]:
    """Turns PyTorch's error of strict loading into a WeightsError: what in `source` does not fit, and what to do."""
    try:
        yield
    except RuntimeError as error:
        lines = [textwrap.shorten(line, MAX_LINE, placeholder=" …") for line in str(error).splitlines()[1:]]
        first = f"the weights in {source} do not fit weights.backbone={name}:"
        last = "name the backbone that the file was made for, or another file with weights.backbone_file=FILE"
        raise WeightsError("\n".join([first, *(f"  {line}" for line in lines), last])) from None


def in_order(state: StateDict, network: nn.Module, source: str, name: str) -> StateDict:
    """`state` under the names of the network's own tensors, which must be as many, of the same shapes, in the same
    order; batch counters, which only training uses, are left out. Raises WeightsError for the first that differs.
    """
    given, own = (
        [(k, v) for k, v in tensors.items() if not k.endswith(BATCH_COUNTER)]
        for tensors in (state, network.state_dict())
    )
    if len(given) != len(own):
        raise WeightsError(f"{source} holds {len(given)} tensors, but weights.backbone={name} has {len(own)}")
    for number, ((old, value), (new, wanted)) in enumerate(zip(given, own, strict=True), 1):
        if value.shape != wanted.shape:
            raise WeightsError(
                f"{source}: tensor {number} of {len(own)}, {old}, has shape {tuple(value.shape)}, but {new} of "
                f"weights.backbone={name} has {tuple(wanted.shape)}"
            )
    return {new: value for (_, value), (new, _) in zip(given, own, strict=True)}


def hub_lacks(repository: str, names: Sequence[str], download: bool = True) -> str | None:
    """Why none of the files `names` of a hub repository is available; None when one is, without downloading anything.

    download: whether files that are not in the cache may be downloaded later.
    """
    from huggingface_hub import constants, get_hf_file_metadata, get_session, hf_hub_url, try_to_load_from_cache

    if any(isinstance(try_to_load_from_cache(repository, name), str) for name in names):
        return None
    if not download:
        return "not in the hub's cache, and weights.source=in_domain downloads nothing: weights.source=hub does"
    try:
        get_session().head(constants.ENDPOINT, timeout=HUB_TIMEOUT)
    except Exception as error:  # no network, offline mode, proxies: each raises another class
        return f"{constants.ENDPOINT} can't be reached: {short(error)}"
    reasons = []
    for name in names:
        try:
            get_hf_file_metadata(hf_hub_url(repository, name), timeout=HUB_TIMEOUT)
            return None
        except Exception as error:  # no such file, no access
            reasons.append(f"{name}: {short(error)}")
    return f"{constants.ENDPOINT}/{repository} gives none: {'; '.join(reasons)}"


def from_hub(repository: str, names: Sequence[str], download: bool = True) -> Path:
    """The first of the files `names` that a hub repository has, from the cache or downloaded; else WeightsError."""
    from huggingface_hub import hf_hub_download

    if reason := hub_lacks(repository, names, download):  # hf_hub_download would retry five times
        raise WeightsError(reason)
    reasons = []
    for name in names:
        try:
            return Path(hf_hub_download(repository, name, etag_timeout=HUB_TIMEOUT, local_files_only=not download))
        except Exception as error:  # as above
            reasons.append(f"{name}: {short(error)}")
    raise WeightsError("; ".join(reasons))


def not_found(setting: str, reason: str, repository: str, names: Sequence[str], into: Path, then: str) -> WeightsError:
    """The error for weights that `setting` names, with the command that downloads files of a hub repository.

    into: what they are saved as; of several, #1 stands for each one's name. then: the setting that finds them there.
    """
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(repository, names[0])
    if len(names) > 1:
        url = f"{url.removesuffix(names[0])}{{{','.join(names)}}}"
    return WeightsError(
        f"{setting}: no weights found ({reason})\n"
        f"  where there is internet:  curl -fL --create-dirs -o {shlex.quote(str(into))} {shlex.quote(url)}\n"
        f"  then:                     {then}"
    )


def short(error: Exception) -> str:
    """Its message on one line, 200 characters at most."""
    return textwrap.shorten(str(error).strip() or type(error).__name__, 200, placeholder=" …")
