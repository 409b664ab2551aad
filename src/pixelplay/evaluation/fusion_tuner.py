"""A run's fusion with other weights, smoothing or normalisation, measured on pseudo-anomalies at once, without labels.

For notebooks: nothing is decoded, trained or scored, and what fusions have in common is computed once, so that a slider
can be followed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pixelplay.ablation.measure import METRICS, PSEUDO, Bench, Measured
from pixelplay.ablation.variants import named, normalisations, smoothings
from pixelplay.errors import ConfigError, MissingArtifactError
from pixelplay.evaluation.members import as_judged, planted_truth, read_judged, streams_of, weights_of
from pixelplay.run.artifacts import write_text
from pixelplay.run.files import RunFiles
from pixelplay.scores import fusion_file
from pixelplay.scores.normalise import FITTED_ON_NORMAL, FITTED_ON_SCORES
from pixelplay.scores.settings import FusionConfig
from pixelplay.videos.index import load_index

if TYPE_CHECKING:
    from pixelplay.config import Config

NORMALISATIONS = [*FITTED_ON_NORMAL, *FITTED_ON_SCORES]  # the methods that `FusionTuner.fusion` takes


@dataclass(frozen=True)
class Tried:
    """Figures of a fusion on pseudo-anomalies."""

    figure: float  # of `ablate.metric`, AP or ROC-AUC
    gain: float  # over the run's own fusion
    error: float  # standard error of that, over draws of whole clips
    kinds: dict[str, float]  # the figure by kind of anomaly; NaN where its clips have frames of one class only


class FusionTuner:
    """The fusion of a run, to be changed."""

    def __init__(self, config: "Config"):
        """Raises MissingArtifactError without pseudo-anomalies, or for scores or members that are not written yet."""
        index = load_index(config)
        truth = planted_truth(config, index)
        if truth is None:
            raise MissingArtifactError(
                f"{config.run_name}: no pseudo-anomalies were planted in this run, so fusions can't be compared "
                "without labels: run `./run_all.sh` with the same options but without pseudo=none"
            )
        streams, weights = streams_of(config, index), weights_of(config, index)
        members, fusion, judged = read_judged(config, streams)
        fusion = as_judged(fusion, judged)
        planted = {stream: rows for stream, rows in members.items() if PSEUDO in set(rows["split"])}
        self._settings, self._whole = config.ablate, named(fusion, list(members))
        self._bench = Bench(streams, {PSEUDO: truth}, weights)
        self.external = [stream for stream in members if stream not in planted]  # not measured; they keep their weight
        self.weights = {s: self._whole.members[s].weight for s in planted}  # the run's own; 0 if judges left it out
        self.kinds = {str(kind): truth.kinds == kind for kind in dict.fromkeys(truth.kinds.tolist())}
        self.configured = self.fusion(self.weights)
        self._own = self._measured(self.configured)

    def fusion(
        self, weights: Mapping[str, float], sigma: float | None = None, normalise: str | None = None
    ) -> FusionConfig:
        """The run's fusion with these weights, by member; 0 leaves one out.

        sigma: of a Gaussian, in frames, that smooths every member; 0: no smoothing. normalise: method for every member.
        None: as the run has them. The judges of `select_members` have no say.
        """
        members = {s: self._whole.members[s].model_copy(update={"weight": weights[s]}) for s in self.weights}
        fusion = self._whole.model_copy(update={"members": members})
        if sigma is not None:
            smooth = {"method": "gaussian", "sigma": sigma} if sigma else {"method": "none"}
            fusion = smoothings(fusion, [smooth])[0].fusion
        if normalise is not None:
            fusion = normalisations(fusion, [{"method": normalise}])[0].fusion
        return fusion

    def measure(self, fusion: FusionConfig) -> Tried:
        """Figures of a fusion made by `fusion`; raises ConfigError if all weights are 0."""
        at, measured = METRICS.index(self._settings.metric), self._measured(fusion)
        gain, error = (float(values[at]) for values in measured.gain_over(self._own))
        by_kind = {kind: float(self._bench.figures(fusion, PSEUDO, rows)[at]) for kind, rows in self.kinds.items()}
        return Tried(float(measured.figures[at]), gain, error, by_kind)

    def save(self, fusion: FusionConfig, variant: "Config") -> Path:
        """Write the file, for `fusion_file=`, of a new variant of the run's fusion, `name=NAME`; returns its path.

        External files keep their weight. Raises ConfigError without a name, or for that of a variant that exists.
        """
        files = RunFiles.of(variant)
        if variant.name is None or files.variant_options.exists():
            why = "no name" if variant.name is None else f"it exists ({files.fusion}/)"
            raise ConfigError(f"name={variant.name or ''}: {why}: choose another one")
        kept = {stream: self._whole.members[stream] for stream in self.external}
        whole = fusion.model_copy(update={"members": {**fusion.members, **kept}})
        write_text(files.tuned_fusion, fusion_file.to_text(whole))
        return files.tuned_fusion

    def _measured(self, fusion: FusionConfig) -> Measured:
        return self._bench.measured(fusion, self._settings)
