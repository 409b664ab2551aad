"""How well scores agree with labels: arrays in, numbers out. Needs numpy, pandas, scipy and scikit-learn only."""
