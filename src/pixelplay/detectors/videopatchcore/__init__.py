"""VideoPatchCore: memory banks of spatial and temporal features."""
