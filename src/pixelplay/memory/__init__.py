"""What normal behaviour looked like: coresets of feature vectors, and nearest-neighbour banks of them."""
