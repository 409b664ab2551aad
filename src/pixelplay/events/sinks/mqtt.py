"""Events as MQTT messages of quality of service 1: the broker has acknowledged each that counts as delivered."""

import json
import threading
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from pixelplay.events.sinks.delivery import NotDeliveredError, Sent
from pixelplay.events.sinks.settings import MqttConfig
from pixelplay.events.sinks.webhook import filled

KEEP_ALIVE = 60  # seconds; paho's default


class Mqtt:
    def __init__(self, config: MqttConfig):
        """Raises ConfigError for a variable that the environment lacks; connects with the first event."""
        self.name = f"mqtt {config.host}:{config.port} {config.topic}"
        self._config = config
        self._password = filled(config.password, "events.mqtt.password") if config.password else None
        self._client: paho.Client | None = None

    def deliver(self, event: Sent) -> None:
        try:
            if self._client is None or not self._client.is_connected():
                self._connect()
            assert self._client is not None
            message = self._client.publish(self._config.topic, json.dumps(event).encode(), qos=1)
            message.wait_for_publish(self._config.timeout)
            arrived = message.is_published()
        except (OSError, ValueError, RuntimeError) as error:
            self.close()
            text = error.strerror if isinstance(error, OSError) else None
            raise NotDeliveredError(text or str(error) or type(error).__name__) from None
        if not arrived:
            self.close()  # or the client would send it when it has a connection again, beside the next attempt
            raise NotDeliveredError("no acknowledgement in time")

    def close(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def _connect(self) -> None:
        self.close()
        config, answered, answers = self._config, threading.Event(), []
        client = self._client = paho.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)

        def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            answers.append(reason)
            answered.set()

        client.on_connect = on_connect
        client.connect_timeout = config.timeout
        if config.username or self._password:
            client.username_pw_set(config.username, self._password)
        if config.tls:
            client.tls_set()
        assert config.host is not None  # `SinksConfig` checks it
        client.connect(config.host, config.port, KEEP_ALIVE)
        client.loop_start()
        if not answered.wait(config.timeout):
            raise RuntimeError("no answer in time")
        if answers[0].is_failure:
            raise RuntimeError(f"refused: {answers[0]}")
