"""Corrupted test frames: which are flipped, how noisy each is, and how both are corrected."""
