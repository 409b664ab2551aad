"""Look at what `detect` found: annotated frames of a video as a contact sheet and, with show.clip=true, as an MP4.

python src/show_objects.py experiment=ped2 dataset.root=data/ped2 show.video=Test001 show.clip=true
"""

from pixelplay.cli import command
from pixelplay.explain import boxes

if __name__ == "__main__":
    command(boxes.run)
