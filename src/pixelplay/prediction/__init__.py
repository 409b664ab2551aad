"""New files scored by a trained run: its detectors, its fusion, its threshold; nothing is learnt from them.

The prediction is a run of its own below the trained one, `predictions/<name>/`, whose index lists only the new videos:
its files lie, are checked and resumed as those of every run, and the functions of the stages work on it as they are.
"""
