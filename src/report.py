"""Stage 8: one HTML page of the run, to open in a browser; and annotated MP4s of chosen test videos.

python src/report.py experiment=ped2 dataset.root=data/ped2
python src/report.py experiment=ped2 dataset.root=data/ped2 'report.clips=[Test001,Test004]'
"""

from pixelplay.cli import stage_command
from pixelplay.stages import report

if __name__ == "__main__":
    stage_command(report.run)
