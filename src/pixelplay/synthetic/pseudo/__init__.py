"""Pseudo-anomalies: something planted in held-out normal footage, where frames, pixels and kind are known.

After the pseudo-anomalies that Astrid et al. train with (Learning Not to Reconstruct Anomalies, BMVC 2021: a foreign
patch, skipped frames; PseudoBound, Neurocomputing 2023: repeated frames) and the reversed time of Georgescu et al.
(CVPR 2021). Here nothing is trained on them: without test labels, they tell settings apart.
"""
