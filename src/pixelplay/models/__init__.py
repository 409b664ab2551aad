"""Networks and losses, nothing else: no files, no configuration, no loops."""
