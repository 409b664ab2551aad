"""Two scorers on VideoMAE: masked reconstruction and normal profile."""
