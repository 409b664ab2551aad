"""Where the autoencoders' scores come from: frame, reconstruction and error heat map side by side, as PNG.

python src/show_errors.py experiment=ped2 dataset.root=data/ped2                     the frames that score highest
python src/show_errors.py … show.video=Test001 'show.frames=[20,61,150]'             these frames
"""

from pixelplay.commands import command
from pixelplay.stages import show_errors

if __name__ == "__main__":
    command(show_errors.run)
