"""Objects in videos: boxes per frame, found by YOLO or by motion, cached; and the tubes that are cut around them."""
