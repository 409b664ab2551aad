"""A run on disk: where its files lie, how they are written, and who may write them."""
