"""Stage 3: fit each detector on normal footage.

python src/train.py experiment=ped2 dataset.root=data/ped2
"""

from pixelplay.cli import stage_command
from pixelplay.stages import train

if __name__ == "__main__":
    stage_command(train.run)
