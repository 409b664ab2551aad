"""From files to frames: data set layouts, videos, the decode-once cache, windows, corruption, held-out footage."""
