"""Why a frame has its score: its objects beside the training footage most like them, and how far off that is, as PNG.

python src/explain.py experiment=ped2 dataset.root=data/ped2 'detector=[videopatchcore]'      where the scores peak
python src/explain.py … show.video=Test001 'show.frames=[60,90]'                              these frames
"""

from pixelplay.cli import command
from pixelplay.stages import explain

if __name__ == "__main__":
    command(explain.run)
