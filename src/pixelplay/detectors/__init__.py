"""Anomaly detectors, a module or a package each, behind the contract of `base`; `registry` finds them."""
