"""Video anomaly detection: learns what is usual from normal videos, and scores every frame of other ones."""
