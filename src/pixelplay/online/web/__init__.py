"""The live page, `view=web`: pictures, scores and events in a browser while they come."""
