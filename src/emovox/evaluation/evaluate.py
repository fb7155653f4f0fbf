"""All scores of a protocol's test predictions, and how they are printed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from emovox.corpora.clips import describe_speakers
from emovox.corpora.cross import describe_labels
from emovox.corpora.protocols import Protocol
from emovox.evaluation.abstention import Abstention, measure_abstention
from emovox.evaluation.calibration import (
    TARGET_ACCURACY,
    Calibration,
    bootstrap_calibration_error,
)
from emovox.evaluation.fairness import Fairness, compare_genders
from emovox.evaluation.intervals import Interval
from emovox.evaluation.metrics import CALIBRATION_BINS, Metrics, compute_metrics
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.summary import (
    Summary,
    choose_resampling,
    count,
    describe_score,
    summarize,
)
from emovox.recognition.model_file import ProtocolScore

BOOTSTRAP_SEED = 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well a run did on its test clips.

    Attributes:
        protocol: What it was tested by.
        summary: WA, UA and F1 with their intervals.
        metrics: All metrics of the pooled test predictions.
        calibration_interval: Of their expected calibration error.
        abstention: What abstaining brings on them.
        fairness: How women and men are served; ``None`` where one of them is not there.
    """

    protocol: Protocol
    summary: Summary
    metrics: Metrics
    calibration_interval: Interval
    abstention: Abstention
    fairness: Fairness | None = None

    def describe(self) -> list[str]:
        """Return a printable line each for WA, UA and F1, with all that a score must carry."""
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
        ] + describe_labels(self.protocol)

    def describe_basis(self) -> str:
        """Return what a table of scores rests on, as the line above it."""
        summary, protocol = self.summary, self.protocol
        kind = "speaker-independent" if protocol.speaker_independent else "speaker-dependent"
        folds = count(summary.n_folds, "fold")
        clips, speakers = count(summary.n_clips, "clip"), describe_speakers(summary.n_speakers)
        return (
            f"{protocol.name} v{protocol.version}, {kind}: {folds}, 1 seed, {clips} of {speakers}; "
            f"percent, 95% intervals over {summary.resample_by}"
        )

    def describe_calibration(self) -> str:
        """Return a printable line: how far its confidence can be trusted."""
        interval = self.calibration_interval
        return (
            f"log-loss {self.metrics.log_loss:.3f}, expected calibration error "
            f"{self.metrics.expected_calibration_error:.3f} (95% interval {interval.low:.3f} to "
            f"{interval.high:.3f}; {CALIBRATION_BINS} bins of equal width, most probable class)"
        )

    def describe_abstention(self) -> list[str]:
        """Return printable lines: how often it is right where it answers only the surest clips."""
        lines = [f"{'answered':>8} {'confidence':>11} {'clips':>6} {'accuracy':>9}"]
        for entry in self.abstention.by_coverage:
            lines.append(
                f"{entry.coverage:8.0%} {entry.min_confidence or 0:>11.3f} {entry.count:6,} "
                f"{entry.accuracy or 0:9.3f}"
            )
        own = self.abstention.own
        if own is not None:
            right = "none answered" if own.accuracy is None else f"{own.accuracy:.1%} right"
            lines.append(
                f"at each model's own threshold: {own.coverage:.1%} answered, {right} "
                f"(asked for on its validation clips: {TARGET_ACCURACY:.0%})"
            )
        return lines

    def to_scores(self) -> tuple[ProtocolScore, ...]:
        """Return the scores as a model file carries them."""
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
) -> Evaluation:
    """Score the test predictions of all folds.

    Args:
        protocol: What they were tested by.
        predictions: Of every fold.
        calibrations: Each fold's, by its name; without them no threshold is scored.

    Returns:
        The scores.
    """
    resample_by = choose_resampling(predictions, speaker_independent=protocol.speaker_independent)
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
    abstention = measure_abstention(predictions, thresholds)
    fairness = compare_genders(predictions, np.random.default_rng(BOOTSTRAP_SEED))
    return Evaluation(protocol, summary, metrics, interval, abstention, fairness)
