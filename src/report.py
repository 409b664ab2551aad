"""Stage 9: one HTML page of the run, to open in a browser.

python src/report.py experiment=ped2 dataset.root=data/ped2
"""

from pixelplay.cli import stage_command
from pixelplay.stages import report

if __name__ == "__main__":
    stage_command(report.run)
