"""Configuration keys of earlier versions: an old key is an error that names the new one."""

import re

RENAMED = {  # old -> new; *: any name, **: one name or several. Keys below an old one move with it
    "weights.detector": "weights.yolo",
    "detectors.*.settings": "detectors.*.training",
    "detectors.*.training.bank.ivf.lists": "detectors.*.training.bank.ivf.nlist",
    "detectors.*.training.bank.ivf.probes": "detectors.*.training.bank.ivf.nprobe",
    "detectors.*.training.bank.hnsw.links": "detectors.*.training.bank.hnsw.M",
    "detectors.*.training.bank.hnsw.construction": "detectors.*.training.bank.hnsw.ef_construction",
    "detectors.*.training.bank.hnsw.search": "detectors.*.training.bank.hnsw.ef_search",
    "detectors.*.training.encoder.compared": "detectors.*.training.encoder.contrast_channels",
    "detectors.*.training.encoder.pairs": "detectors.*.training.encoder.max_pairs",
    "detectors.*.training.encoder.apart": "detectors.*.training.encoder.frame_gap",
    "detectors.*.training.encoder.color": "detectors.*.training.encoder.color_jitter",
    "detectors.*.training.encoder.noise": "detectors.*.training.encoder.noise_share",
    "detectors.*.training.crop": "detectors.*.training.center_crop",
    "detectors.*.training.pretraining.clips": "detectors.*.training.pretraining.clips_per_epoch",
    "detectors.*.scoring.spatial": "detectors.*.scoring.spatial_weight",
    "detectors.*.scoring.local": "detectors.*.scoring.local_weight",
    "objects.motion.block": "objects.motion.background_frames",
    "objects.motion.samples": "objects.motion.background_samples",
    "objects.motion.noise": "objects.motion.n_sigma",
    "objects.motion.shake": "objects.motion.jitter_px",
    "objects.motion.join": "objects.motion.close_px",
    "objects.motion.parts.wide": "objects.motion.split.min_aspect",
    "objects.motion.parts.narrowest": "objects.motion.split.min_width",
    "objects.motion.parts": "objects.motion.split",
    "objects.tubes.overlap": "objects.tubes.iou",
    "restore.denoise.above": "restore.noise_above",
    "pseudo.share": "pseudo.anomalous_share",
    "pseudo.speed": "pseudo.speed_factor",
    "pseudo.enlarge": "pseudo.size_factor",
    "pseudo.around": "pseudo.context_frames",
    "pseudo.moving.samples": "pseudo.moving.background_samples",
    "pseudo.moving.noise": "pseudo.moving.n_sigma",
    "pseudo.moving.join": "pseudo.moving.close_share",
    "fusion.judges": "fusion.select_members",
    "fusion.restored": "fusion.corrupted_frames",
    "fusion.**.normalise.rarest": "fusion.**.normalise.min_p",
    "fusion.**.smooth.polynomial": "fusion.**.smooth.polyorder",
    "ablate.normalise.*.rarest": "ablate.normalise.*.min_p",
    "ablate.smooth.*.polynomial": "ablate.smooth.*.polyorder",
    "ablate.over": "ablate.choose",
    "ablate.draws": "ablate.n_bootstrap",
    "ablate.steps": "ablate.weight_steps",
    "ablate.points": "ablate.max_points",
    "evaluate.bootstrap.draws": "evaluate.bootstrap.n_bootstrap",
    "evaluate.link.gap": "evaluate.link.max_gap",
    "evaluate.thresholds.evt.risk": "evaluate.thresholds.evt.false_alarm_rate",
    "evaluate.thresholds.adaptive.deviations": "evaluate.thresholds.adaptive.n_sigma",
    "show.rate": "show.fps",
    "report.rate": "report.fps",
    "report.apart": "report.min_gap",
    "mine.rate": "mine.fps",
    "mine.every": "mine.frame_step",
    "mine.short": "mine.short_scenes",
}


def renamed(key: str) -> str | None:
    """The present name of an old dotted `key`; None for any other key."""
    new = key
    while (step := _once(new)) is not None:
        new = step
    return new if new != key else None


def _once(key: str) -> str | None:
    for old, new in RENAMED.items():
        pattern = re.escape(old).replace(r"\*\*", "(.+)").replace(r"\*", "([^.]+)")
        if found := re.fullmatch(rf"{pattern}(\..+)?", key):
            *names, below = found.groups(default="")
            return re.sub(r"\*+", "{}", new).format(*names) + below
    return None
