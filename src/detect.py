"""Stage 2: find objects in every frame, where some detector of the run asks for them; cached per video.

python src/detect.py experiment=ped2 dataset.root=data/ped2 weights.yolo=yolov8n.pt
"""

from pixelplay.cli import stage_command
from pixelplay.stages import detect

if __name__ == "__main__":
    stage_command(detect.run)
