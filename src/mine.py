"""Finds the unusual clips of a large collection: lists clips, scores them with VideoMAE, draws, chooses.

python src/mine.py mine.source=footage weights=hub                              all steps
python src/mine.py step=manifest mine.source=data/nuscenes 'mine.cameras=[CAM_FRONT]'
python src/mine.py step=score weights.videomae=FOLDER mine.engine=ray           goes on where it was stopped
python src/mine.py step=render mine.render.count=30
python src/mine.py step=distribution distribution.bins=40
python src/mine.py step=select mine.select.count=50 mine.select.baseline=usual/scores.jsonl
"""

from pixelplay.cli import command
from pixelplay.mining import steps
from pixelplay.mining.settings import MINING_STEPS

if __name__ == "__main__":
    command(steps.run, MINING_STEPS)
