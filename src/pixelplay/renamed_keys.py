"""Configuration keys of earlier versions: an old key is an error that names the new one."""

import re

TABLE = """
weights                           detector > yolo
detectors.*                       settings > training
detectors.*.training.bank.ivf     lists > nlist, probes > nprobe
detectors.*.training.bank.hnsw    links > M, construction > ef_construction, search > ef_search
detectors.*.training.encoder      compared > contrast_channels, pairs > max_pairs, apart > frame_gap
detectors.*.training.encoder      color > color_jitter, noise > noise_share
detectors.*.scoring               spatial > spatial_weight, local > local_weight
detectors.*.training              crop > center_crop, weights.backbone_file > backbone.file
detectors.*.training              weights.backbone > backbone.name, weights > backbone
detectors.*.training.pretraining  clips > clips_per_epoch
objects.motion                    block > background_frames, samples > background_samples, noise > n_sigma
objects.motion                    shake > jitter_px, join > close_px, parts > split
objects.motion.split              wide > min_aspect, narrowest > min_width
restore                           denoise.above > noise_above
pseudo                            share > anomalous_share, speed > speed_factor, enlarge > size_factor
pseudo                            around > context_frames
pseudo.moving                     samples > background_samples, noise > n_sigma, join > close_share
fusion                            judges > select_members, restored > corrupted_frames
fusion.**.normalise               rarest > min_p
fusion.**.smooth                  polynomial > polyorder
ablate.normalise.*                rarest > min_p
ablate.smooth.*                   polynomial > polyorder
ablate                            over > choose, draws > n_bootstrap, steps > weight_steps, points > max_points
evaluate.bootstrap                draws > n_bootstrap
evaluate.link                     gap > max_gap
show                              rate > fps
report                            rate > fps, apart > min_gap
mine                              rate > fps, every > frame_step, short > short_scenes
"""  # section, old > new names; *: any name, **: one name or several
RENAMED = {
    f"{section}.{old}": f"{section}.{new}"
    for section, names in (line.split(maxsplit=1) for line in TABLE.split("\n") if line)
    for old, new in (name.split(" > ") for name in names.split(", "))
}
RENAMED |= {"detectors.*.training.encoder": "weights.encoder", "trainer.wandb": "wandb"}  # moved
RENAMED |= {
    "evaluate.thresholds.evt.risk": "events.thresholds.evt.false_alarm_rate",
    "evaluate.thresholds.adaptive.deviations": "events.thresholds.adaptive.n_sigma",
    "evaluate.thresholds": "events.thresholds",
}


def renamed(key: str) -> str | None:
    """The present name of an old dotted `key`, or of a key below one; None for any other key."""
    for old, new in RENAMED.items():
        pattern = re.escape(old).replace(r"\*\*", "(.+)").replace(r"\*", "([^.]+)")
        if found := re.fullmatch(rf"{pattern}(\..+)?", key):
            *names, below = found.groups(default="")
            name = re.sub(r"\*+", "{}", new).format(*names) + below
            return renamed(name) or name
    return None
