"""Masks of anomalous pixels: files of images, NumPy arrays or Avenue's MATLAB cells, and run lengths in memory."""

import io
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np

from pixelplay.errors import DataError
from pixelplay.videos.image_file import decode, read_image
from pixelplay.videos.sources import Remark, require_file

LOSSY_ABOVE = 127  # value above which pixels of a JPEG count: compression leaves values above 0 around every edge
MATLAB_SECONDS = 120  # Avenue's longest label file takes two


@dataclass(frozen=True, eq=False)
class Masks:
    """Masks of T frames in run-length code: those of a whole Avenue video take less than 1 MB, not 330."""

    size: tuple[int, int]  # width and height, pixels of the original frame
    runs: Sequence[np.ndarray]  # of each position: lengths of runs of normal, anomalous, normal, … pixels, row by row

    def __len__(self) -> int:
        return len(self.runs)

    def at(self, position: int) -> np.ndarray:
        """The mask of one frame, bool (H, W)."""
        lengths = np.asarray(self.runs[position], np.int64)
        inside = np.arange(len(lengths)) % 2 == 1
        return np.repeat(inside, lengths).reshape(self.size[::-1])

    @property
    def anomalous(self) -> np.ndarray:
        """Whether each frame has an anomalous pixel, bool [T]."""
        return np.array([len(lengths) > 1 for lengths in self.runs], bool)


def encode(mask: np.ndarray) -> np.ndarray:
    """Run lengths, uint32, of a mask, bool of any shape, row by row; the first run is of normal pixels and may be 0."""
    flat = np.concatenate([[False], mask.ravel(), [not mask.ravel()[-1]]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(edges, prepend=0).astype(np.uint32)


class MaskSource(Protocol):
    """Where the masks of one video are; read frame by frame, when asked for."""

    @property
    def path(self) -> str: ...  # a file or a folder, by whose contents changes are noticed
    @property
    def remarks(self) -> list[Remark]: ...  # `read` adds to them

    def read(self, numbers: Iterable[int], size: tuple[int, int]) -> Masks:
        """Masks of the frames with these numbers, for `size` = (width, height); raises DataError."""
        ...


@dataclass(frozen=True)
class MaskFiles:
    """Where the masks of one video are; read frame by frame."""

    kind: Literal["images", "npy", "avenue_mat"]
    path: str  # a folder of images (frame number in the name; no file: empty mask), a .npy [N, H, W] or a .mat
    files: dict[int, str] = field(default_factory=dict)  # images: frame number -> file name
    first: int = 0  # npy, avenue_mat: frame number of the first mask
    remarks: list[Remark] = field(default_factory=list, compare=False, repr=False)  # `read` adds to them

    def read(self, numbers: Iterable[int], size: tuple[int, int]) -> Masks:
        """Masks of the frames with these numbers, for `size` = (width, height); raises DataError."""
        return Masks(size, [encode(self._mask(int(number), size)) for number in numbers])

    def _mask(self, number: int, size: tuple[int, int]) -> np.ndarray:
        if self.kind == "images":
            mask = self.image(number) if number in self.files else np.zeros(size[::-1], bool)
        else:
            stack = load_npy(Path(self.path)) if self.kind == "npy" else load_avenue_masks(Path(self.path))
            at = number - self.first
            if not 0 <= at < len(stack):
                raise DataError(f"{self.path}: no mask for frame {number} among {len(stack)}")
            mask = stack.at(at) if isinstance(stack, Masks) else np.asarray(stack[at]) > 0
        if mask.shape != size[::-1]:
            raise DataError(
                f"{self.path}: the mask of frame {number} has height and width {mask.shape}, the frame {size[::-1]}"
            )
        return mask

    def image(self, number: int) -> np.ndarray:
        """The image of the frame with this number, which must be among `files`, bool (H, W); raises DataError."""
        name = self.files[number]
        mask, remark = read_mask_image(Path(self.path) / name)
        if remark is not None and (name, *remark) not in self.remarks:
            self.remarks.append((name, *remark))
        return mask


def read_mask_image(path: Path) -> tuple[np.ndarray, tuple[str, str] | None]:
    """A mask image, bool (H, W), and a remark: problem and treatment.

    Anomalous are pixels with a value above 0 in a colour channel, of any depth (in a JPEG, above 127); in images with a
    palette, indices above 0, whatever their colour. Transparent pixels (alpha 0) are not. Raises DataError.
    """
    image = read_image(path, page=0)
    data, problem = bytes(image.data), f"{path}: cannot be read as a mask image"
    if image.problem:
        raise DataError(f"{problem} ({image.problem})")
    indexed = _read_indexed(path, data)
    if indexed is not None:
        return indexed
    lossy = data.startswith(b"\xff\xd8") or data[8:16] == b"WEBPVP8 "
    pixels = decode(data, cv2.IMREAD_COLOR if lossy else cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim not in (2, 3):
        raise DataError(problem)
    if lossy:
        remark = ("a mask with lossy compression", f"values above {LOSSY_ABOVE} of 255 are taken as anomalous")
        return pixels.max(axis=2) > LOSSY_ABOVE, remark
    if pixels.ndim == 2:
        return pixels > 0, None
    opaque = pixels[..., 3] > 0 if pixels.shape[2] == 4 else True
    return np.asarray((pixels[..., :3] > 0).any(axis=2) & opaque), None


def _read_indexed(path: Path, data: bytes) -> tuple[np.ndarray, tuple[str, str] | None] | None:
    """`read_mask_image` of an image with a palette, by Pillow (OpenCV makes colours of indices); None for others."""
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data))
    except Exception:  # damaged, or of a kind unknown to Pillow: OpenCV decides
        return None
    try:
        if (pages := getattr(image, "n_frames", 1)) > 1:
            raise DataError(f"{path}: a mask image has one page, and this one {pages}; store each page alone")
        if image.mode != "P":
            return None
        transparency = image.info.get("transparency", b"")
        index = np.asarray(image)
        black = not any((image.getpalette("RGB") or [0, 0, 0])[:3])
    except DataError:
        raise
    except Exception as error:  # Pillow raises many kinds on damaged images (OSError, SyntaxError, struct.error, …)
        raise DataError(f"{path}: cannot be read as a mask image ({error})") from None
    opaque = np.ones(256, bool)  # [index]
    if isinstance(transparency, int):
        opaque[transparency] = False
    else:
        alphas = np.frombuffer(transparency, np.uint8)[:256]
        opaque[: len(alphas)] = alphas > 0
    remark = None if black else ("index 0 of its palette is not black", "index 0 is taken as normal all the same")
    return (index > 0) & opaque[index], remark


def load_npy(path: Path) -> np.ndarray:
    """A .npy array of numbers, memory-mapped; raises DataError if it is damaged or would need unpickling."""
    require_file(path)
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # NumPy raises many kinds on a damaged header (ValueError, TokenError, …)
        raise DataError(f"{path}: cannot be read as a plain .npy array ({error})") from None
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        raise DataError(
            f"{path}: must be an array of numbers, one entry for each frame; it has type {array.dtype} and shape "
            f"{array.shape}"
        )
    return array


def load_avenue_masks(path: Path) -> Masks:
    """The cell array `volLabel` of an Avenue label file: one mask for each frame. Raises DataError.

    SciPy reads it in a process of its own, since it crashes on some damaged files; cached, since labels are masks here.
    """
    stat = require_file(path).stat()
    return _avenue_masks(path.absolute(), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=32)
def _avenue_masks(path: Path, size: int, changed_ns: int) -> Masks:
    command = [sys.executable, "-P", str(Path(__file__).with_name("matlab_process.py")), str(path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # nothing to parallelise
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "timeout": MATLAB_SECONDS, "env": environment}
    try:
        done = subprocess.run(command, check=False, **options)
    except subprocess.TimeoutExpired:
        raise DataError(f"{path}: not read as a MATLAB file within {MATLAB_SECONDS} s; replace or remove it") from None
    if done.returncode < 0:
        raise DataError(
            f"{path}: cannot be read as a MATLAB file (SciPy crashed with signal {-done.returncode}); "
            "the file is damaged: replace or remove it"
        )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise DataError(f"{path}: {lines[-1][:300]}")
    head, _, data = done.stdout.partition(b"\n")
    count, height, width = map(int, head.split())
    rows = np.frombuffer(data, np.uint8).reshape(count, -1)
    return Masks((width, height), [encode(np.unpackbits(row, count=height * width) > 0) for row in rows])
