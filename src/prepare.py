"""Stage 1: list a data set's videos, decode every frame once, hold out normal footage.

python src/prepare.py experiment=ped2 dataset.root=data/ped2
"""

from pixelplay.cli import stage_command
from pixelplay.stages import prepare

if __name__ == "__main__":
    stage_command(prepare.run)
