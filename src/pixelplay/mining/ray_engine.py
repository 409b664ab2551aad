"""mine.engine=ray: clips are scored by Ray Data's `map_batches`, in processes of this machine or of a cluster.

Without RAY_ADDRESS, a local cluster is started for the run. Workers score clips with the same function as the local
engine, and scores come back in the order of the manifest.
"""

import importlib.util
import logging
import os
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from pixelplay import PACKAGE
from pixelplay.errors import ConfigError, PixelPlayError
from pixelplay.mining.clip_model import ClipModel, ModelSettings
from pixelplay.mining.clips import Clip, parse_clip
from pixelplay.mining.score_file import Scored

WINDOW = 20_000  # clips handed to Ray at a time: its memory does not grow with the manifest
OBJECT_STORE = 256 << 20  # bytes, of a local cluster, for lines of the manifest and scores


class ScoringWorker:
    """Scores batches in a worker process; the model is loaded once."""

    def __init__(self, settings: ModelSettings, frames: int):
        self._model, self._frames = ClipModel(settings, frames), frames

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        """Columns at, score (NaN for none) and error ('' for none) for lines of the manifest in the column clip."""
        found = [self._model.score(parse_clip(str(line), self._frames)) for line in batch["clip"]]
        scores = np.array([one.score for one in found], np.float64)
        return {"at": batch["at"], "score": scores, "error": np.array([one.error or "" for one in found])}


def require_ray(device: str) -> None:
    """Raise ConfigError if Ray is not installed, or a single GPU is named: Ray assigns one to each worker."""
    if device.startswith("cuda:"):
        raise ConfigError(f"device={device}: with mine.engine=ray every worker gets its own GPU: set device=cuda")
    if any(importlib.util.find_spec(package) is None for package in ("ray", "pyarrow")):
        raise ConfigError("mine.engine=ray needs Ray: pip install 'ray[data]>=2.60', or set mine.engine=local")


def score_on_ray(
    clips: Iterable[Clip], settings: ModelSettings, frames: int, batch_size: int, workers: int
) -> Iterator[list[tuple[Clip, Scored]]]:
    """Batches of clips with their scores, in order; `workers` processes, 0: one per core or GPU of the cluster.

    Raises ConfigError for more workers than that, PixelPlayError when Ray or a worker fails.
    """
    require_ray(settings.device)
    with _cluster(workers) as resources:
        from ray.data import ActorPoolStrategy

        gpu = settings.device in ("auto", "cuda") and resources.get("GPU", 0) >= 1
        room = int(resources.get("GPU" if gpu else "CPU", 0))
        if workers > room or not room:
            kinds = "GPUs" if gpu else "CPUs"
            raise ConfigError(f"mine.workers={workers}: the Ray cluster has {room} {kinds}, one per worker")
        settings = replace(settings, device="cuda" if gpu else settings.device)
        pool = {"compute": ActorPoolStrategy(size=workers or room), "num_cpus": 1, "num_gpus": int(gpu)}
        clips = iter(clips)
        while window := list(islice(clips, WINDOW)):
            yield from _score_window(window, batch_size, {"fn_constructor_args": (settings, frames), **pool})


def _score_window(window: list[Clip], batch_size: int, pool: Mapping[str, Any]) -> Iterator[list[tuple[Clip, Scored]]]:
    import ray.data

    rows = [{"at": at, "clip": clip.as_json()} for at, clip in enumerate(window)]
    blocks = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // batch_size))
    scored = blocks.map_batches(ScoringWorker, batch_size=None, **pool)  # a block is a batch
    done = 0
    for found in scored.iter_batches(batch_size=None, batch_format="numpy"):
        at, scores, errors = (found[name].tolist() for name in ("at", "score", "error"))
        if at != list(range(done, done + len(at))):
            raise PixelPlayError(f"Ray returned clips {at}, expected {done} and on: run it again")
        results = [Scored(None if error else score, error or None) for score, error in zip(scores, errors, strict=True)]
        yield list(zip(window[done : done + len(at)], results, strict=True))
        done += len(at)
    if done < len(window):
        raise PixelPlayError(f"Ray returned {done} of {len(window)} scores: run it again")


@contextmanager
def _cluster(workers: int) -> Iterator[Mapping[str, float]]:
    """Resources of the cluster this process is connected to, of that at RAY_ADDRESS, or of a new local one."""
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        _authenticate()
    import ray  # it reads the authentication settings on import
    import ray.data
    import ray.exceptions

    connected = ray.is_initialized()
    where = f"the cluster at RAY_ADDRESS={address}" if address else "a cluster of this machine"
    try:
        if address and not connected:  # machines of the cluster may lack this code
            ray.init(address, logging_level=logging.WARNING, runtime_env={"py_modules": [str(PACKAGE)]})
        elif not connected:
            settings = {"object_store_memory": OBJECT_STORE, "include_dashboard": False}
            settings["num_cpus"] = max(workers, os.cpu_count() or 1)
            ray.init("local", logging_level=logging.WARNING, **settings)
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False  # there is our own
        logging.getLogger("ray.data").setLevel(logging.WARNING)
        logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)  # warns that its bars are disabled
        yield ray.cluster_resources()
    except (ray.exceptions.RayError, ConnectionError, RuntimeError) as error:
        raise PixelPlayError(f"Ray failed on {where}: {str(error).strip() or type(error).__name__}") from error
    finally:
        if not connected:
            ray.shutdown()


def _authenticate() -> None:
    """Require a token from clients of the local cluster, since they could run code in it.

    Ray's default is one token for all runs, in a file in the home folder, with a warning. RAY_AUTH_MODE,
    RAY_AUTH_TOKEN and RAY_AUTH_TOKEN_PATH are respected if set.
    """
    if os.environ.get("RAY_AUTH_MODE", "token") != "token":
        return
    if "ray" not in sys.modules:  # a notebook may have imported it, with the default mode
        os.environ["RAY_AUTH_MODE"] = "token"
    if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # for this process
