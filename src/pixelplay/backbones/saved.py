"""Weights that the project itself saved, read back; what is damaged is made again by the stage that wrote it."""

from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from pixelplay.run.artifacts import damaged, missing


def load_saved(network: nn.Module, path: Path, made_by: str) -> None:
    """Fill `network` with exactly the tensors of a .safetensors file that stage `made_by` wrote.

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
    except Exception as error:  # safetensors raises its own, plain Exceptions, PyTorch RuntimeErrors
        raise damaged(path, made_by, error) from None
