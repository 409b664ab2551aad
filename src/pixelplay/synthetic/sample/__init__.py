"""The sample data set, which the project renders itself: a plaza, its normal life, and seven kinds of anomaly.

It needs no download, so every command and test can run on it; its numbers say nothing about real footage.
"""

from pixelplay.synthetic.sample.render import render_sample

__all__ = ["render_sample"]
