"""Autoencoders: convolutional, spatio-temporal, denoising."""
