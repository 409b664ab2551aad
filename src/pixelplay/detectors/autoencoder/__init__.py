"""Autoencoders: convolutional, spatio-temporal, denoising."""

from pixelplay.detectors.base import Spec

TRAINER = ("batch_size", "learning_rate", "max_epochs", "patience", "precision", "weight_decay")
SPECS = [Spec("autoencoder", 1, f"{__name__}.detector", trainer=TRAINER)]
