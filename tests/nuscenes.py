"""A NuScenes-shaped data set: its JSON tables and JPEGs, with file names like those of the real one."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.footage import encoded, picture

START = 1_532_402_927_647_951  # microseconds, as in v1.0-mini
SWEEP = 83_333  # microseconds between a camera's frames: 12 a second
KEY = 6  # every so many frames is a key frame: 2 a second
VERSION = "v1.0-mini"


@dataclass
class NuScenes:
    """Scenes by name with their numbers of frames per camera; `root` is what mine.source names."""

    root: Path
    scenes: dict[str, int] = field(default_factory=lambda: {"scene-0061": 40, "scene-0103": 28, "scene-0553": 10})
    cameras: tuple[str, ...] = ("CAM_BACK", "CAM_FRONT")

    def write(self) -> "NuScenes":
        tables: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("scene", "sample", "sample_data", "calibrated_sensor", "sensor")
        }
        for channel in ("LIDAR_TOP", *self.cameras):
            modality = "camera" if channel.startswith("CAM") else "lidar"
            tables["sensor"].append({"token": f"sensor-{channel}", "channel": channel, "modality": modality})
        for number, (name, frames) in enumerate(self.scenes.items()):
            self._write_scene(tables, number, name, frames)
        tables["sample_data"].reverse()  # as good as any order: records are linked lists, not sorted
        for name, records in tables.items():
            path = self.tables / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(records, indent=0))  # a value a line, as the real ones
        return self

    @property
    def tables(self) -> Path:
        return self.root / VERSION

    def file(self, scene: str, camera: str, frame: int) -> str:
        """Relative path of a camera's frame of a scene: key frames are in samples/, those between in sweeps/."""
        time = START + list(self.scenes).index(scene) * 100_000_000 + frame * SWEEP
        folder = "samples" if frame % KEY == 0 else "sweeps"
        return f"{folder}/{camera}/n015-2018-07-24-11-22-45+0800__{camera}__{time}.jpg"

    def _write_scene(self, tables: dict[str, list[dict[str, Any]]], number: int, name: str, frames: int) -> None:
        token, samples = f"token-{name}", -(-frames // KEY)
        tables["scene"].append({"token": token, "name": name, "nbr_samples": samples, "description": "Parked truck"})
        for sample in range(samples):
            time = START + number * 100_000_000 + sample * KEY * SWEEP
            tables["sample"].append({"token": f"{token}-{sample}", "timestamp": time, "scene_token": token})
        for channel in ("LIDAR_TOP", *self.cameras):
            calibrated = f"{token}-{channel}"
            tables["calibrated_sensor"].append({"token": calibrated, "sensor_token": f"sensor-{channel}"})
            for frame in range(frames):
                is_key = frame % KEY == 0
                filename = self.file(name, channel, frame)
                if channel == "LIDAR_TOP":
                    filename = filename.replace(".jpg", ".pcd.bin")
                else:
                    path = self.root / filename
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(encoded(".jpg", image=picture(1000 * number + frame, 80, 45)))
                tables["sample_data"].append(
                    {
                        "token": f"{calibrated}-{frame}",
                        "sample_token": f"{token}-{frame // KEY}",
                        "calibrated_sensor_token": calibrated,
                        "timestamp": START + number * 100_000_000 + frame * SWEEP,
                        "fileformat": "jpg",
                        "is_key_frame": is_key,
                        "filename": filename,
                    }
                )
