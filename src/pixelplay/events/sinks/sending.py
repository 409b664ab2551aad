"""All sinks of a run: `send` writes an event to the JSON lines first, at once, then queues it for the others."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixelplay import requirements
from pixelplay.events.sinks.delivery import Delivery, Target
from pixelplay.events.sinks.files import CsvRows, JsonLines
from pixelplay.events.sinks.settings import SinkName, SinksConfig
from pixelplay.events.sinks.webhook import Webhook

log = logging.getLogger(__name__)


class Sinks:
    """What fails here is counted and reported, and never raised; use it as a context manager, or call `close`."""

    def __init__(self, lines: JsonLines | None, deliveries: list[Delivery]):
        self._lines, self._deliveries = lines, deliveries
        self._unwritten, self._count = 0, 0

    def send(self, event: Mapping[str, Any]) -> None:
        """Send an event, as JSON: raises TypeError or ValueError for what is none."""
        copy = json.loads(json.dumps(event, allow_nan=False))  # what the caller changes later is not sent
        self._count += 1
        if self._lines:
            try:
                self._lines.write(copy)
            except OSError as error:
                if not self._unwritten:
                    log.warning(f"events: {self._lines.name}: {error.strerror or error}")
                self._unwritten += 1
        for delivery in self._deliveries:
            delivery.send(copy)

    def close(self) -> None:
        """Wait for the queues as `Delivery.close` does, and report what each sink got."""
        for delivery in self._deliveries:
            delivery.close()
        if self._lines:
            self._report(self._lines.name, self._unwritten, None)
        for delivery in self._deliveries:
            self._report(delivery.name, delivery.lost, delivery.problem)

    def __enter__(self) -> "Sinks":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _report(self, name: str, lost: int, problem: str | None) -> None:
        if not lost:
            log.info(f"events: {name}: {self._count} sent")
            return
        reason = f" ({problem})" if problem else ""
        kept = "; all are in the JSON lines" if self._lines and not self._unwritten else ""
        log.warning(f"events: {name}: {lost} of {self._count} not sent{reason}{kept}")


def open_sinks(config: SinksConfig, folder: Path, room: int | None = None) -> Sinks:
    """The configured sinks; raises ConfigError for missing variables, MissingPackageError for missing packages.

    folder: of the files that have no name of their own; room: events that may wait, if not `delivery.queue`.
    """
    targets = [_target(name, config, folder) for name in config.sinks if name != "jsonl"]
    lines = JsonLines(config.jsonl.file or folder / "events_sent.jsonl") if "jsonl" in config.sinks else None
    return Sinks(lines, [Delivery(target, config.delivery, room) for target in targets])


def _target(name: SinkName, config: SinksConfig, folder: Path) -> Target:
    if name == "csv":
        return CsvRows(config.csv.file or folder / "events_sent.csv")
    if name == "webhook":
        return Webhook(config.webhook)
    requirements.require(["mqtt"])
    from pixelplay.events.sinks.mqtt import Mqtt  # imports paho

    return Mqtt(config.mqtt)
