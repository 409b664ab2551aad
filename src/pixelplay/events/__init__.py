"""From scores to alarms: thresholds, events with a start and an end, zones, and where events are sent."""
