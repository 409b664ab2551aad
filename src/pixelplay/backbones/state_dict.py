"""Weights as tensors by name, from a file or from the Hugging Face hub. Nothing in a file is ever executed."""

import pickle
import shlex
import textwrap
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from pixelplay.errors import WeightsError
from pixelplay.run.artifacts import damaged, missing
from pixelplay.run.atomic import atomic

HUB_TIMEOUT = 10  # seconds to wait for an answer of the hub before it counts as out of reach
MAX_LINE = 400  # characters of each line of PyTorch's list of keys that do not fit

StateDict = dict[str, torch.Tensor]


def read_state_dict(path: Path) -> StateDict:
    """Tensors of a .safetensors file, or of a PyTorch file that holds a state dict, bare or under `state_dict`.

    Raises WeightsError for a file that is missing, damaged, TorchScript, or holds anything but tensors.
    """
    if not path.is_file():
        raise WeightsError(f"{path} is missing or no file: weights.backbone_file must name a file of weights")
    try:
        value = _read(path)
    except WeightsError:
        raise
    except Exception as error:  # torch.load and safetensors raise all kinds for damaged files
        raise WeightsError(f"{path} can't be read as weights ({_short(error)}): download it again") from None
    if isinstance(value, dict) and isinstance(value.get("state_dict"), dict):  # open_clip's training checkpoints
        value = value["state_dict"]
    if not isinstance(value, dict) or not value or not all(isinstance(v, torch.Tensor) for v in value.values()):
        raise WeightsError(f"{path} holds no weights: a state dict, tensors by name, is what is read from it")
    return {str(name).removeprefix("module."): tensor for name, tensor in value.items()}  # of networks trained with DDP


def _read(path: Path) -> object:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if zipfile.is_zipfile(path) and any(name.endswith("constants.pkl") for name in zipfile.ZipFile(path).namelist()):
        raise WeightsError(
            f"{path} is refused: it is a TorchScript archive, a program and not weights alone, as OpenAI distributes "
            "CLIP. Take the same weights as open_clip_model.safetensors, which the hub has"
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # PyTorch's own words recommend to load it unsafely
        if "GLOBAL" not in str(error):
            raise WeightsError(
                f"{path} can't be read as weights (it is no file of PyTorch): download it again"
            ) from None
        raise WeightsError(
            f"{path} is refused: it holds more than tensors, and loading it could run code. Take the same weights as "
            ".safetensors, or save the network's state dict alone with torch.save"
        ) from None


def save_network(network: nn.Module, path: Path) -> None:
    """Write a network's state as .safetensors, atomically."""
    from safetensors.torch import save_file

    with atomic(path) as temporary:
        save_file({name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}, temporary)


def load_network(network: nn.Module, path: Path, made_by: str) -> None:
    """Fill `network` with exactly the tensors that stage `made_by` wrote with `save_network`.

    Raises MissingArtifactError, or DamagedArtifactError, also for values that are not finite.
    """
    from safetensors.torch import load_file

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


def fill(network: nn.Module, state: StateDict, source: str, name: str) -> None:
    """Load exactly `state` into `network`; WeightsError names what is missing, unexpected or of another shape."""
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise misfit(error, source, name) from None


def misfit(error: RuntimeError, source: str, name: str) -> WeightsError:
    """What PyTorch's strict loading found, in an error that says where the weights came from and what to do."""
    lines = [textwrap.shorten(line, MAX_LINE, placeholder=" …") for line in str(error).splitlines()[1:]]
    return WeightsError(
        "\n".join([f"the weights in {source} are not those of weights.backbone={name}:", *(f"  {x}" for x in lines)])
        + "\nname the backbone that the file was made for, or another file with weights.backbone_file=FILE"
    )


def hub_lacks(repository: str, names: Sequence[str]) -> str | None:
    """Why none of the files `names` of a hub repository can be had; None when one can. Downloads nothing.

    Where the hub does not answer, it is asked once.
    """
    from huggingface_hub import constants, get_hf_file_metadata, get_session, hf_hub_url, try_to_load_from_cache

    if any(isinstance(try_to_load_from_cache(repository, name), str) for name in names):
        return None
    try:
        get_session().head(constants.ENDPOINT, timeout=HUB_TIMEOUT)
    except Exception as error:  # no network, offline mode, proxies: each has its own class
        return f"{constants.ENDPOINT} can't be reached: {_short(error)}"
    reasons = []
    for name in names:
        try:
            get_hf_file_metadata(hf_hub_url(repository, name), timeout=HUB_TIMEOUT)
        except Exception as error:  # no such file, no access
            reasons.append(f"{name}: {_short(error)}")
        else:
            return None
    return f"{constants.ENDPOINT}/{repository} gives none: {'; '.join(reasons)}"


def from_hub(repository: str, names: Sequence[str]) -> Path:
    """The first of the files `names` that a hub repository has, downloaded unless it is in the cache.

    Raises WeightsError with the reasons.
    """
    from huggingface_hub import hf_hub_download

    reason = hub_lacks(repository, names)  # the download itself would try five times, and say so each time
    if reason is not None:
        raise WeightsError(reason)
    reasons = []
    for name in names:
        try:
            return Path(hf_hub_download(repository, name, etag_timeout=HUB_TIMEOUT))
        except Exception as error:  # as above
            reasons.append(f"{name}: {_short(error)}")
    raise WeightsError("; ".join(reasons))


def fetching(repository: str, names: Sequence[str], folder: Path, file: str | None = None) -> str:
    """A command that downloads files of a hub repository into a folder; a single one can be called `file` there."""
    from huggingface_hub import hf_hub_url

    into = folder / (file or "#1")  # what stands in the braces
    url = hf_hub_url(repository, names[0])
    if file is None:
        url = f"{url.removesuffix(names[0])}{{{','.join(names)}}}"
    return f"curl -fL --create-dirs -o {shlex.quote(str(into))} {shlex.quote(url)}"


def _short(error: Exception) -> str:
    return textwrap.shorten(str(error).strip() or type(error).__name__, 200, placeholder=" …")
