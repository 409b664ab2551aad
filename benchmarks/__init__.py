"""Measurements that the project states, each beside its peer in the same process: `python -m benchmarks [name …]`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))  # also without the package installed
