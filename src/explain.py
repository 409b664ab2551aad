"""Stage 8: pictures of where scores come from, for the report; with show.*, also of any frames and videos.

python src/explain.py experiment=ped2 dataset.root=data/ped2                    the report's pictures
python src/explain.py … 'show.what=[errors]'                       error maps of the frames that score highest
python src/explain.py … show.video=Test001 'show.frames=[60,90]'   these frames: error maps, neighbours and boxes
python src/explain.py … show.video=Test001 show.clip=true          detected boxes of a whole video, too, as an MP4
"""

from pixelplay.cli import stage_command
from pixelplay.stages import explain

if __name__ == "__main__":
    stage_command(explain.run)
