"""From raw per-frame scores to a submission: normalise, smooth, fuse, write. Arrays and tables in and out; no torch.

`table` is the contract of the scores table; `normalise`, `smooth` and `fuse` each find a method by its name in a
registry of plain functions; `submission` builds and checks the competition's CSV.
"""
