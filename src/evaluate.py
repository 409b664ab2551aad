"""Stage 6: frame metrics where labels are on disk: a table and metrics.json.

python src/evaluate.py experiment=ped2 dataset.root=data/ped2
"""

from pixelplay.commands import command
from pixelplay.stages import evaluate

if __name__ == "__main__":
    command(evaluate.run)
