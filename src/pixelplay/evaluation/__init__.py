"""From the artefacts of a run to metrics."""
