"""The files of an exported network: NAME.onnx, and NAME.json with what its use takes and what it was made of."""

import hashlib
import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from pixelplay import requirements
from pixelplay.backbones.exports import Exported
from pixelplay.backbones.state_dict import short
from pixelplay.errors import MissingArtifactError, PixelPlayError
from pixelplay.export.parity import BATCHES, LIMIT, Inputs, largest_difference, random_inputs
from pixelplay.export.session import Session
from pixelplay.run.artifacts import damaged, read_model, rerun, write_json
from pixelplay.run.atomic import atomic

VERSION = 1  # raised when the same network is exported in another way
OPSET = 17
BATCH = "N"


class UnexportableError(PixelPlayError):
    """Why a network cannot be exported."""


class ParityError(PixelPlayError):
    """An exported network computes something else than PyTorch does."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Tensor(_Part):
    name: str
    shape: list[int | str]  # a name: any length
    dtype: str
    about: str


class Parity(_Part):
    """Largest differences to PyTorch in float32, see `pixelplay.export.parity`."""

    random: float
    heldout: float | None  # None: no held-out footage reaches the network
    limit: float = LIMIT
    batches: list[int] = list(BATCHES)

    @property
    def told(self) -> str:
        heldout = (
            "no held-out footage reaches it" if self.heldout is None else f"{self.heldout:.1e} on held-out footage"
        )
        return f"off by {self.random:.1e} on random input, {heldout}"


class About(_Part):
    """NAME.json."""

    run: str
    detector: str
    network: str
    file: str
    sha256: str  # of the file
    weights: str  # SHA-256 of the values of the network's weights, see `hash_of_weights`
    version: int
    opset: int
    precision: str = "float32"
    inputs: list[Tensor]
    outputs: list[Tensor]
    preprocessing: dict[str, Any]
    postprocessing: dict[str, Any]
    parity: Parity
    versions: dict[str, str]


def write(folder: Path, name: str, network: Exported, heldout: Inputs | None, run: str, detector: str) -> About:
    """Export a network to `folder`, unless it computes something else there than in PyTorch.

    heldout: inputs of held-out footage. Raises UnexportableError where PyTorch cannot export it, ParityError where the
    results differ; there is then no file of that name.
    """
    path = folder / f"{name}.onnx"
    for old in (path, path.with_suffix(".json")):
        old.unlink(missing_ok=True)
    example = random_inputs(network)
    model, tensors = as_onnx(network, example)
    parity = _parity(f"{detector}/{name}", network, Session(model), example, heldout)
    words = About(
        run=run,
        detector=detector,
        network=name,
        file=path.name,
        sha256=hashlib.sha256(model).hexdigest(),
        weights=network.weights,
        version=VERSION,
        opset=OPSET,
        inputs=[tensors[key] for key in network.inputs],
        outputs=[tensors[key] for key in network.outputs],
        preprocessing=dict(network.preprocessing),
        postprocessing=dict(network.postprocessing),
        parity=parity,
        versions={
            "pixelplay": requirements.project()["version"],
            **{package: version(package) for package in ("torch", "onnx", "onnxruntime")},
        },
    )
    with atomic(path) as temporary:
        temporary.write_bytes(model)
    write_json(path.with_suffix(".json"), words.model_dump())
    return words


def read(folder: Path, name: str, network: Exported) -> Session:
    """What `write` wrote of this network.

    Raises MissingArtifactError where there is nothing, or an export of other weights, DamagedArtifactError for files
    that were changed.
    """
    path = folder / f"{name}.onnx"
    about = read_model(path.with_suffix(".json"), About, made_by="export")
    if (about.weights, about.version) != (network.weights, VERSION):
        raise MissingArtifactError(
            f"{path} is an old export, of another network than is trained now: {rerun('export')}"
        )
    try:
        model = path.read_bytes()
    except FileNotFoundError:
        raise damaged(path, "export", "the file is gone") from None
    if hashlib.sha256(model).hexdigest() != about.sha256:
        raise damaged(path, "export", f"not the file that {path.stem}.json describes")
    try:
        return Session(model)
    except Exception as error:  # ONNX Runtime raises kinds of its own
        raise damaged(path, "export", short(error)) from None


def as_onnx(network: Exported, example: Inputs) -> tuple[bytes, dict[str, Tensor]]:
    """The network by PyTorch's exporter of traces, which needs no further package, and its inputs and outputs by name.

    Raises UnexportableError.
    """
    with torch.inference_mode():
        found = network.module.forward(*example)
    words = {**network.inputs, **network.outputs}
    values = dict(zip(words, (*example, *(found if isinstance(found, tuple) else (found,))), strict=True))
    axes = {key: {0: BATCH, **network.axes.get(key, {})} if value.ndim else {} for key, value in values.items()}
    written: Any = io.BytesIO()  # the exporter of traces takes one, too
    try:
        with _exporting():
            torch.onnx.export(
                network.module,
                example,
                written,
                dynamo=False,
                opset_version=OPSET,
                input_names=list(network.inputs),
                output_names=list(network.outputs),
                dynamic_axes=axes,
            )
    except Exception as error:  # it raises many kinds
        raise UnexportableError(f"cannot be exported to ONNX: {short(error)}") from None
    tensors = {}
    for key, value in values.items():
        shape = [axes[key].get(axis, length) for axis, length in enumerate(value.shape)]
        dtype = str(value.dtype).removeprefix("torch.")
        tensors[key] = Tensor(name=key, shape=shape, dtype=dtype, about=words[key])
    return written.getvalue(), tensors


@contextmanager
def _exporting() -> Iterator[None]:
    """Without what ONNX has no word for: the order of axes in memory, and PyTorch's fused transformer layers."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.onnx.register_custom_op_symbolic("aten::contiguous", lambda graph, x, memory_format: x, OPSET)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings(), torch.no_grad(), _quiet():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        torch.onnx.unregister_custom_op_symbolic("aten::contiguous", OPSET)


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing is printed: the exporter writes whole graphs past Python's sys.stdout, where its error says enough."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {number: os.dup(number) for number in (1, 2)}
    try:
        with open(os.devnull, "wb") as nowhere:
            for number in kept:
                os.dup2(nowhere.fileno(), number)
        yield
    finally:
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)


def _parity(name: str, network: Exported, session: Session, example: Inputs, heldout: Inputs | None) -> Parity:
    found = [None if inputs is None else largest_difference(network, session, inputs) for inputs in (example, heldout)]
    random, real = found
    worst = max(one for one in found if one is not None)
    assert random is not None
    if not worst <= LIMIT:
        kind = "random input" if worst == random else "held-out footage"
        raise ParityError(
            f"{name}: in ONNX Runtime {version('onnxruntime')} it is off by {worst:.1e} on {kind}, and {LIMIT:g} is "
            "allowed: nothing was written; use it in PyTorch, or other versions of torch and onnxruntime"
        )
    return Parity(random=random, heldout=real)
