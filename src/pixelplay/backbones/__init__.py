"""Frozen networks, pretrained or trained in the run, and the descriptors of frames and crops taken from them."""
