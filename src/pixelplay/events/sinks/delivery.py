"""A worker thread in front of a sink that may be slow or down: a bounded queue, a rate limit, retries with back-off.

Whoever sends never waits. When the queue is full, the event that has waited longest gives way: the newest alarm is
worth most.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from pixelplay.events.sinks.settings import DeliveryConfig

log = logging.getLogger(__name__)

Sent = Mapping[str, Any]  # an event as JSON


class NotDeliveredError(Exception):
    """A target did not take an event; the message holds no secret."""

    def __init__(self, message: str, wait: float = 0.0, final: bool = False):
        """wait: seconds that the target asks for; final: it would never take this event."""
        super().__init__(message)
        self.wait, self.final = wait, final


class Target(Protocol):
    name: str  # for messages; without secrets

    def deliver(self, event: Sent) -> None:
        """Returns when the event has arrived; raises NotDeliveredError."""

    def close(self) -> None: ...


class Delivery:
    """Sends events to a target in the order they come."""

    def __init__(self, target: Target, config: DeliveryConfig, room: int | None = None):
        """room: events that wait at most, if not `config.queue`."""
        self.name, self.accepted, self.delivered = target.name, 0, 0
        self.problem: str | None = None  # why the last event that was not delivered was not
        self._target, self._config = target, config
        self._waiting: deque[Sent] = deque(maxlen=room or config.queue)  # a full one drops its oldest
        self._changed = threading.Condition()
        self._closed, self._stopped = False, threading.Event()
        self._last_attempt, self._last_success = float("-inf"), time.monotonic()
        self._thread = threading.Thread(target=self._work, name=f"events to {target.name}", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Events that have not arrived as far as is known: all but the delivered ones, once it is closed."""
        return self.accepted - self.delivered

    def send(self, event: Sent) -> None:
        """Queue an event; never waits for the target."""
        with self._changed:
            self.accepted += 1
            self._waiting.append(event)
            self._changed.notify()

    def close(self) -> None:
        """Wait for what is queued, but no longer than `patience` seconds without a delivery."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        start = time.monotonic()
        while self._thread.is_alive():
            self._thread.join(0.05)
            if time.monotonic() - max(start, self._last_success) > self._config.patience:
                break
        self._stopped.set()

    def _work(self) -> None:
        while not self._stopped.is_set() and (event := self._next()) is not None:
            self._deliver(event)
        self._target.close()

    def _next(self) -> Sent | None:
        """The next event; None when there is none and there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return self._waiting.popleft() if self._waiting else None

    def _deliver(self, event: Sent) -> None:
        config = self._config
        for attempt in range(config.attempts):
            self._stopped.wait(max(0.0, self._last_attempt + 1 / config.per_second - time.monotonic()))
            if self._stopped.is_set():
                return
            self._last_attempt = time.monotonic()
            try:
                self._target.deliver(event)
            except NotDeliveredError as error:
                self._told(error)
                if error.final:
                    return
                pause = min(max(config.backoff * 2.0 ** min(attempt, 60), error.wait), config.max_backoff)
                if attempt + 1 < config.attempts:
                    self._stopped.wait(pause)
            except Exception as error:  # of the target's code: the thread must live, or all that follows is lost
                self._told(error)
                return
            else:
                self.delivered += 1
                self._last_success, self.problem = time.monotonic(), None
                return

    def _told(self, error: Exception) -> None:
        """Report the first of several failures in a row; the last is reported at the end."""
        text = str(error) or type(error).__name__
        if self.problem is None:
            log.warning(f"events: {self.name}: {text}")
        self.problem = text
