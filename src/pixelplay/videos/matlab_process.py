"""Reads an Avenue label file in a separate process: on some damaged files SciPy crashes the interpreter.

Started by `pixelplay.videos.mask_files` with the file's path. Writes to stdout a line with the number of masks, their
height and width, then their pixels above 0 as bits, each mask padded to whole bytes; errors go to stderr.
"""

import sys
from contextlib import suppress

import numpy as np
from scipy.io import loadmat

MAX_MEMORY = 8 * 2**30  # bytes of address space; Avenue's longest label file takes a tenth of it


def main(path: str) -> None:
    with suppress(ImportError):  # Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    try:
        cells = loadmat(path, variable_names=["volLabel"]).get("volLabel")
        if cells is None:
            sys.exit("no variable volLabel in it; Avenue's files <video>_label.mat have one")
        masks = [np.asarray(cell) for cell in cells.ravel()] if cells.dtype == object else []
        shapes = {mask.shape if mask.dtype.kind in "biuf" else () for mask in masks}
        if len(shapes) != 1 or len(min(shapes)) != 2 or 0 in min(shapes):
            sys.exit("volLabel must be a cell array of masks, numbers of the same height and width for each frame")
        bits = [np.packbits(mask.ravel() > 0).tobytes() for mask in masks]
    except Exception as error:  # SciPy raises many kinds (MatReadError, IndexError, zlib.error, …)
        sys.exit(f"cannot be read as a MATLAB file ({type(error).__name__}: {error})")
    sys.stdout.buffer.write(" ".join(map(str, (len(masks), *masks[0].shape))).encode() + b"\n")
    sys.stdout.buffer.writelines(bits)


if __name__ == "__main__":
    main(sys.argv[1])
