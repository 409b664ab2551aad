"""From raw per-frame scores to a submission: normalise, smooth, fuse, write. Arrays and tables in and out; no torch."""
