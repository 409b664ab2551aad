"""Stage 6: metrics of frames, pixels, regions and tracks where the truth is on disk: tables and metrics.json.

python src/evaluate.py experiment=ped2 dataset.root=data/ped2
"""

from pixelplay.cli import stage_command
from pixelplay.stages import evaluate

if __name__ == "__main__":
    stage_command(evaluate.run)
