"""Stage 1: list a data set's videos, decode every frame once, hold out normal footage.

python src/prepare.py experiment=ped2 dataset.root=data/ped2
"""

from pixelplay.commands import command
from pixelplay.stages import prepare

if __name__ == "__main__":
    command(prepare.run)
