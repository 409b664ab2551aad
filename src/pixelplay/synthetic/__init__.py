"""Footage that the project makes: the sample data set, and pseudo-anomalies in held-out footage."""
