"""Exported networks in ONNX Runtime, as functions of tensors."""

from typing import Any

import numpy as np
import onnxruntime
import torch

ERRORS_ONLY = 3  # severity of ONNX Runtime's messages
PROVIDERS = ["CPUExecutionProvider"]


class Session:
    """A network, called with tensors in the order of its inputs, on as many threads as PyTorch has when it is made."""

    def __init__(self, model: bytes):
        """Raises what ONNX Runtime raises for bytes that are no network; none of them is run as code."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        self._session = onnxruntime.InferenceSession(model, options, providers=PROVIDERS)
        self._inputs = [(one.name, DTYPES[one.type]) for one in self._session.get_inputs()]

    def __call__(self, *inputs: torch.Tensor) -> Any:
        """The output, or a tuple of several, on the device of the first input."""
        values = {
            name: np.ascontiguousarray(tensor.detach().to("cpu", dtype).numpy())
            for (name, dtype), tensor in zip(self._inputs, inputs, strict=True)
        }
        found = [torch.from_numpy(np.asarray(one)).to(inputs[0].device) for one in self._session.run(None, values)]
        return found[0] if len(found) == 1 else tuple(found)


DTYPES = {"tensor(float)": torch.float32, "tensor(bool)": torch.bool, "tensor(int64)": torch.int64}
