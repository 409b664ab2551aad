"""What every training run shares: device and precision, clips read from the cache, Lightning's trainer, resuming."""
