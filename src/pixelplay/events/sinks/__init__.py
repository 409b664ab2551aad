"""Where events are sent as they are found: files, a web server, an MQTT broker."""
