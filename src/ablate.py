"""Stage 7: what each part of the fusion is worth, measured on planted anomalies, without labels.

python src/ablate.py experiment=ped2 dataset.root=data/ped2                        tables and plots
python src/ablate.py experiment=ped2 dataset.root=data/ped2 ablate.search=true     and a fusion file for fuse.py
"""

from pixelplay.cli import stage_command
from pixelplay.stages import ablate

if __name__ == "__main__":
    stage_command(ablate.run)
