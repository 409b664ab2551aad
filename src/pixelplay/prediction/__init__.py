"""New files scored by a trained run: its detectors, its fusion, its threshold; nothing is learnt from them.

The prediction is a run of its own below the trained one, `predictions/<name>/`: its test videos are the new ones, and
what the run has learnt and scored of normal footage is the run's. So its files lie, are checked and resumed as those of
every run, and what fuses scores, finds events and draws clips works on it as it is.
"""
