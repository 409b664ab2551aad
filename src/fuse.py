"""Stage 5: calibrate, smooth and weigh the raw scores; write the submission.

python src/fuse.py experiment=ped2 dataset.root=data/ped2
"""

from pixelplay.cli import stage_command
from pixelplay.stages import fuse

if __name__ == "__main__":
    stage_command(fuse.run)
