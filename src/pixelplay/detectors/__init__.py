"""Anomaly detectors, one file each, all behind the contract of `base`; found by their module's name."""
