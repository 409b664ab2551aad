"""Show the detected objects: annotated frames as a contact sheet and, with show.clip=true, as MP4.

See `python src/show_objects.py --help`.
"""

from pixelplay.cli import main

if __name__ == "__main__":
    main("show_objects")
