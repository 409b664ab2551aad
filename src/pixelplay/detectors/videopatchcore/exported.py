"""VideoPatchCore's backbone for other libraries than PyTorch."""

from pixelplay.backbones.exports import Exported, of_backbone
from pixelplay.backbones.frozen import Backbone
from pixelplay.detectors.videopatchcore.clip_features import STREAMS
from pixelplay.detectors.videopatchcore.settings import VideoPatchCoreScoring, VideoPatchCoreSettings


def exported(backbone: Backbone, settings: VideoPatchCoreSettings, scoring: VideoPatchCoreScoring) -> Exported:
    before = {
        "images": "whole frames, and of each tube the square in every frame of the clip",
        "square": f"around the centre of the object's box, {settings.tubes.enlarge:g} times its longer side, clipped",
        "clip": settings.clip,
        "stride": scoring.stride,
        "start": "before there are so many frames, the first one is repeated",
        "due": "a clip ends at frames 0, stride, 2 * stride and so on",
        "noise_above": scoring.noise_above,
    }
    after = {
        "patches": settings.described.model_dump(),
        "vectors": "see pixelplay.detectors.videopatchcore.descriptors, and local_maps in pixelplay.backbones.frozen",
        "banks": {stream: f"{stream}.faiss" for stream in STREAMS},
        "scoring": scoring.model_dump(exclude={"batch_size"}),
        "score": "distances to the nearest entries of the banks, on the scale of calibration.parquet, to the power, "
        "weighted; between two clips it stays",
    }
    return of_backbone(backbone, settings.described.image_size, before, after)
