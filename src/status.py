"""Which stages have something to do; `./run_all.sh` with the same options runs them.

python src/status.py experiment=ped2 dataset.root=data/ped2     exit status 0: nothing to do, 3: work to do
"""

from pixelplay.cli import command
from pixelplay.stages import status

if __name__ == "__main__":
    command(status.run)
