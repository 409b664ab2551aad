"""Video anomaly detection: learns what is usual from normal videos, and scores every frame of other ones."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
