"""Pretrained weights: whether they can be had, where from, and networks filled with exactly them."""
