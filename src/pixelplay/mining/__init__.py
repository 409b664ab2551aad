"""Unusual clips of large collections: clip manifests, clip scores by VideoMAE's reconstruction error, selection."""
