"""`event_completion`: objects whose erased moment a network cannot complete from the moments beside it."""
