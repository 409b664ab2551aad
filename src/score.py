"""Stage 4: raw scores of every detector for the test videos and for held-out normal footage.

python src/score.py experiment=ped2 dataset.root=data/ped2
"""

from pixelplay.cli import stage_command
from pixelplay.stages import score

if __name__ == "__main__":
    stage_command(score.run)
