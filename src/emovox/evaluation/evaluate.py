"""Compute all scores of a protocol's test predictions, and format them for printing."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from emovox.corpora.cross import describe_labels
from emovox.corpora.folds import Protocol
from emovox.evaluation.abstention import Abstention, measure_abstention
from emovox.evaluation.calibration import (
    TARGET_ACCURACY,
    Calibration,
    bootstrap_calibration_error,
)
from emovox.evaluation.fairness import Fairness, compare_genders
from emovox.evaluation.group_calibration import CalibrationByGroup, measure_group_calibration
from emovox.evaluation.intervals import Interval
from emovox.evaluation.metrics import CALIBRATION_BINS, Metrics, compute_metrics
from emovox.evaluation.over_corpora import ScoresOverCorpora, score_over_corpora
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.repeated_takes import RepeatedTakes, score_repeated_takes
from emovox.evaluation.summary import (
    ResampleBy,
    Summary,
    choose_resampling,
    describe_basis,
    describe_score,
    summarize,
)
from emovox.recognition.model_file import ProtocolScore
from emovox.wording import name_speaker_rule

BOOTSTRAP_SEED = 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All scores of a run on its test clips.

    Attributes:
        protocol: Protocol of the run.
        summary: WA, UA and F1 with their intervals.
        metrics: All metrics of the pooled test predictions.
        calibration_interval: Interval of the expected calibration error.
        calibration_by_group: Calibration of women, men and individual speakers.
        abstention: Accuracy and coverage with abstention.
        fairness: Scores of women and men; ``None`` if either is missing.
        repeated_takes: Accuracy with and without another take of the clip in training; ``None``
            if no clip has one.
        over_corpora: Scores of each corpus left out, and their mean; only under ``loco``.
    """

    protocol: Protocol
    summary: Summary
    metrics: Metrics
    calibration_interval: Interval
    calibration_by_group: CalibrationByGroup
    abstention: Abstention
    fairness: Fairness | None = None
    repeated_takes: RepeatedTakes | None = None
    over_corpora: ScoresOverCorpora | None = None

    def describe(self) -> list[str]:
        """Return printable lines: WA, UA and F1 with their basis, and any table of corpora."""
        takes = [] if self.repeated_takes is None else [self.repeated_takes.describe()]
        table = [] if self.over_corpora is None else ["", *self.over_corpora.describe()]
        return [
            describe_score(
                self.summary,
                name,
                protocol=self.protocol.name,
                version=self.protocol.version,
                speaker_independent=self.protocol.speaker_independent,
                n_seeds=1,
            )
            for name in ("WA", "UA", "F1")
        ] + [*takes, *describe_labels(self.protocol), *table]

    def describe_basis(self) -> str:
        """Return the header line of a table of scores: protocol, clips and intervals."""
        kind = name_speaker_rule(self.protocol.speaker_independent)
        return describe_basis(
            self.summary, f"{self.protocol.name} v{self.protocol.version}, {kind}"
        )

    def describe_calibration(self) -> str:
        """Return a printable line on calibration."""
        interval = self.calibration_interval
        return (
            f"log-loss {self.metrics.log_loss:.3f}, expected calibration error "
            f"{self.metrics.expected_calibration_error:.3f} (95% interval {interval.low:.3f} to "
            f"{interval.high:.3f}; {CALIBRATION_BINS} bins of equal width, most probable class)"
        )

    def describe_abstention(self) -> list[str]:
        """Return a printable table of accuracy when only the most confident clips are kept."""
        lines = [f"{'kept':>8} {'confidence':>11} {'clips':>6} {'accuracy':>9}"]
        for entry in self.abstention.by_coverage:
            lines.append(
                f"{entry.coverage:8.0%} {entry.min_confidence or 0:>11.3f} {entry.count:6,} "
                f"{entry.accuracy or 0:9.3f}"
            )
        own = self.abstention.own
        if own is not None:
            right = "none kept" if own.accuracy is None else f"{own.accuracy:.1%} right"
            lines.append(
                f"at each model's own threshold: {own.coverage:.1%} kept, {right} "
                f"(target on its validation clips: {TARGET_ACCURACY:.0%})"
            )
        return lines

    def to_scores(self) -> tuple[ProtocolScore, ...]:
        """Return the scores in the form stored in a model file."""
        return tuple(
            ProtocolScore(
                name=score.name,
                value=score.value,
                low=score.interval.low,
                high=score.interval.high,
                protocol=f"{self.protocol.name} v{self.protocol.version}",
                speaker_independent=self.protocol.speaker_independent,
                n_seeds=1,
                n_clips=self.summary.n_clips,
                n_speakers=self.summary.n_speakers,
            )
            for score in self.summary.scores
        )


def evaluate_predictions(
    protocol: Protocol,
    predictions: Predictions,
    calibrations: Mapping[str, Calibration] | None = None,
    *,
    resample_by: ResampleBy | None = None,
) -> Evaluation:
    """Score the test predictions of all folds.

    Args:
        protocol: Protocol of the run.
        predictions: Test predictions of every fold.
        calibrations: Calibration of each fold, keyed by fold; without them the models' own
            thresholds are not scored.
        resample_by: Unit that the intervals resample; ``None`` chooses it for the protocol.

    Returns:
        The scores.
    """
    resample_by = resample_by or choose_resampling(
        predictions,
        speaker_independent=protocol.speaker_independent,
        protocol=protocol.name,
    )
    summary = summarize(predictions, resample_by, np.random.default_rng(BOOTSTRAP_SEED))
    metrics = compute_metrics(predictions.true, predictions.probabilities, predictions.labels)
    interval = bootstrap_calibration_error(
        predictions, resample_by, np.random.default_rng(BOOTSTRAP_SEED)
    )
    fitted = calibrations is not None and all(c.n_clips for c in calibrations.values())
    thresholds = (
        {fold: c.min_confidence for fold, c in calibrations.items()}
        if calibrations is not None and fitted
        else None
    )
    return Evaluation(
        protocol,
        summary,
        metrics,
        interval,
        calibration_by_group=measure_group_calibration(
            [predictions], np.random.default_rng(BOOTSTRAP_SEED)
        ),
        abstention=measure_abstention(predictions, thresholds),
        fairness=compare_genders(predictions, np.random.default_rng(BOOTSTRAP_SEED)),
        repeated_takes=score_repeated_takes(protocol, predictions),
        over_corpora=(
            score_over_corpora([predictions], np.random.default_rng(BOOTSTRAP_SEED))
            if resample_by == "corpora"
            else None
        ),
    )
