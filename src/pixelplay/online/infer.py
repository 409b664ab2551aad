"""`infer`: a camera, a file or a stream scored frame by frame: `python src/infer.py --help`."""

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from types import FrameType

from pixelplay.config import Config
from pixelplay.errors import ConfigError
from pixelplay.events.event import Event
from pixelplay.events.sinks.sending import Sinks, open_sinks
from pixelplay.events.sinks.settings import FileConfig, SinksConfig
from pixelplay.online.capture import Capture
from pixelplay.online.outputs import Output, open_outputs
from pixelplay.online.pipeline import Pipeline, Session
from pixelplay.online.sources import find_source
from pixelplay.online.web.page import LivePage
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles
from pixelplay.stages import events

log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """The command: score `config.source` until it ends, or somebody ends it."""
    if config.source is None:
        raise ConfigError(
            "source=…: what is to be scored? source=demo.mp4, source=0 (a camera by its number), "
            "'source=rtsp://USER:$PASSWORD@HOST/PATH', or a folder of frames"
        )
    find_source(config.source, config.online)  # a mistyped name is told before models are loaded
    pipeline = Pipeline(config)
    for remark in pipeline.remarks:
        log.info(f"infer: {remark}")
    with ExitStack() as stack:
        capture = stack.enter_context(pipeline.open(config.source))
        folder = _new_folder(config, capture)
        log.info(f"infer: {', '.join(pipeline.names)} on {capture.about.shown} -> {folder}/")
        stack.enter_context(_stopping(capture))
        sinks = stack.enter_context(open_sinks(_sinks(config, folder), folder))
        others: list[Output] = []
        if page := _page(pipeline, capture, folder) if config.view == "web" else None:
            page.start()
            stack.callback(page.close)
            others.append(page)
        outputs = stack.enter_context(open_outputs(config.online, capture.about, folder, config.viz.enable, others))
        session = pipeline.run(capture, folder=folder / "events")
        stack.callback(_end, session, sinks, config, page)  # before the outputs are closed
        for result in session:
            outputs.write(result)
            for state, found in (("started", result.started), ("ended", result.ended)):
                _send(sinks, config, state, found)
            if outputs.quit:
                break


def _end(session: Session, sinks: Sinks, config: Config, page: LivePage | None) -> None:
    session.close()
    if page:
        page.end(session.ended)
    _send(sinks, config, "ended", session.ended)


def _send(sinks: Sinks, config: Config, state: str, found: Sequence[Event]) -> None:
    for event in found:
        sinks.send({"run": config.run_name, "state": state, **event.model_dump(mode="json")})
        log.info(f"infer: {state}: {events.line(event)}")


@contextmanager
def _stopping(capture: Capture) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the source, so that all files are ended as at its end; a second one ends the process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, _: FrameType | None) -> None:
        log.info(f"infer: {signal.Signals(number).name}: ending; once more ends it at once")
        restore()
        threading.Thread(target=capture.close).start()  # it takes a lock, which this thread may hold

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()


def _new_folder(config: Config, capture: Capture) -> Path:
    """A folder that is not there, or empty, for the results of a source."""
    if config.online.folder is not None:
        folder = config.online.folder
        if folder.is_dir() and any(folder.iterdir()):
            raise ConfigError(f"online.folder={folder} is not empty: name another one, or leave it out")
    else:
        parent, name = RunFiles.of(config).online, capture.about.name
        names = (name if number == 1 else f"{name}-{number}" for number in count(1))
        folder = next(parent / one for one in names if not (parent / one).exists())
    require_writable(folder, "paths.outputs")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _sinks(config: Config, folder: Path) -> SinksConfig:
    """The configured ones, with JSON lines and names as online results have them."""
    chosen = config.events
    lines = {"jsonl": FileConfig(file=chosen.jsonl.file or folder / "events.jsonl")}
    rows = {"csv": FileConfig(file=chosen.csv.file or folder / "events.csv")}
    return chosen.model_copy(update={**lines, **rows, "sinks": list(dict.fromkeys(["jsonl", *chosen.sinks]))})


def _page(pipeline: Pipeline, capture: Capture, folder: Path) -> LivePage:
    config, accept = pipeline.config, lambda event: pipeline.accept(f"{folder.name}/{event}")
    return LivePage(config.online.web, folder, capture.about, config.run_name, accept)
