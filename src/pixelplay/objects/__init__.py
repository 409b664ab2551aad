"""Objects in videos: boxes per frame, found by YOLO or by motion, and the tubes cut around them."""
