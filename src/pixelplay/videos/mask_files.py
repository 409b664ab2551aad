"""Files with the anomalous pixels of frames: images, NumPy arrays, Avenue's MATLAB files."""

import io
import os
import subprocess
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from pixelplay.errors import DataError
from pixelplay.videos.image_file import decode, read_image
from pixelplay.videos.truth_text import require_file

LOSSY_ABOVE = 127  # value above which pixels of a JPEG count: compression leaves values above 0 around every edge
MATLAB_SECONDS = 120  # Avenue's longest label file takes two


def read_mask_image(path: Path) -> tuple[np.ndarray, tuple[str, str] | None]:
    """A mask image, bool (H, W), and what is to be said of it: problem and treatment.

    Anomalous are pixels whose stored value, in any colour channel and of any depth, is above 0; in images with a
    palette, indices above 0, whatever their colour. Transparent pixels (alpha 0) are not. In a JPEG, values above 127.
    Raises DataError.
    """
    image = read_image(path, page=0)
    if image.problem:
        raise DataError(f"{path}: cannot be read as a mask image ({image.problem})")
    data = bytes(image.data)
    indexed = _read_indexed(path, data)
    if indexed is not None:
        return indexed
    lossy = data.startswith(b"\xff\xd8") or data[8:16] == b"WEBPVP8 "
    pixels = decode(data, cv2.IMREAD_COLOR if lossy else cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim not in (2, 3):
        raise DataError(f"{path}: cannot be read as a mask image")
    if lossy:
        remark = ("a mask with lossy compression", f"values above {LOSSY_ABOVE} of 255 are taken as anomalous")
        return pixels.max(axis=2) > LOSSY_ABOVE, remark
    if pixels.ndim == 2:
        return pixels > 0, None
    colors = pixels[..., :3] if pixels.shape[2] == 4 else pixels
    opaque = pixels[..., 3] > 0 if pixels.shape[2] == 4 else True
    return (colors > 0).any(axis=2) & opaque, None


def _read_indexed(path: Path, data: bytes) -> tuple[np.ndarray, tuple[str, str] | None] | None:
    """`read_mask_image` of an image with a palette: where its index is above 0 and opaque. None for other images.

    Read by Pillow, since OpenCV turns indices into colours. Raises DataError for an image of several pages.
    """
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data))
    except Exception:  # not a kind that Pillow knows, or damaged: OpenCV decides
        return None
    try:
        if getattr(image, "n_frames", 1) > 1:
            raise DataError(f"{path}: a mask image has one page, and this one {image.n_frames}; store each page alone")
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
    """A .npy array of numbers, memory-mapped; raises DataError when it is damaged or would need unpickling."""
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


@dataclass(frozen=True, eq=False)
class PackedMasks(Sequence[np.ndarray]):
    """Masks, bool (H, W) each, kept compressed: a whole Avenue video takes less than 1 MB, not 330."""

    packed: tuple[bytes, ...]  # of each mask, its pixels as bits (numpy.packbits), by zlib
    size: tuple[int, int]  # H, W
    anomalous: np.ndarray  # bool [N], whether a mask has any anomalous pixel

    @classmethod
    def of_bits(cls, bits: np.ndarray, size: tuple[int, int]) -> "PackedMasks":
        """Of uint8 [N, (H * W + 7) // 8], a row of bits for each mask."""
        return cls(tuple(zlib.compress(row.tobytes(), 1) for row in bits), size, bits.any(axis=1))

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, position):  # type: ignore[override]
        """The mask at this position; raises IndexError."""
        height, width = self.size
        bits = np.frombuffer(zlib.decompress(self.packed[position]), np.uint8)
        return np.unpackbits(bits, count=height * width).reshape(height, width).astype(bool)


def load_avenue_masks(path: Path) -> PackedMasks:
    """The cell array `volLabel` of an Avenue label file: one mask for each frame. Raises DataError.

    SciPy reads it in a process of its own, since it crashes on some damaged files: half a second more. What was read is
    remembered, so that the labels and masks of a data set (Avenue has 21 such files) take one reading.
    """
    require_file(path)
    stat = path.stat()
    return _avenue_masks(path.absolute(), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=32)
def _avenue_masks(path: Path, size: int, changed_ns: int) -> PackedMasks:
    command = [sys.executable, "-P", str(Path(__file__).with_name("matlab_process.py")), str(path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # nothing to share out
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=MATLAB_SECONDS, env=environment, check=False
        )
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
    return PackedMasks.of_bits(np.frombuffer(data, np.uint8).reshape(count, -1), (height, width))
