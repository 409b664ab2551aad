"""Where a score comes from: error maps, nearest neighbours, boxes."""
