"""How much memory an object holds on to: counted, so that other threads and earlier tests change nothing of it."""

import gc
import sys
from types import FunctionType, ModuleType

import numpy as np


def held_bytes(one: object) -> int:
    """Bytes of all that can be reached from an object, without modules, classes and functions."""
    found, todo = dict[int, object](), [one]
    while todo:
        other = todo.pop()
        if id(other) in found or isinstance(other, (type, FunctionType, ModuleType)):
            continue
        found[id(other)] = other
        todo += gc.get_referents(other)
        if isinstance(other, np.ndarray) and other.base is not None:
            todo.append(other.base)
    return sum(map(sys.getsizeof, found.values()))
