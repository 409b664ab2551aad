"""Where the autoencoders' scores come from: frame, reconstruction and error heat map side by side, as PNG.

python src/show_errors.py experiment=ped2 dataset.root=data/ped2                     the frames that score highest
python src/show_errors.py … show.video=Test001 'show.frames=[20,61,150]'             these frames
"""

from pixelplay.cli import command
from pixelplay.explain import error_maps

if __name__ == "__main__":
    command(error_maps.run)
