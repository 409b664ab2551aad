"""Corrupted test frames: which are turned upside down, how noisy each is, and how both are put right."""
