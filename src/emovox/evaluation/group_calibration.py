"""Calibration of women, men and individual speakers, compared with perfect calibration."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from emovox.evaluation.intervals import LEVEL, Interval
from emovox.evaluation.metrics import CALIBRATION_BINS, FloatArray, IntArray, bin_confidences
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.summary import align_seeds

SIMULATIONS = 1_000
"""Number of simulated tests of a perfectly calibrated model."""

MIN_SPEAKERS = 3
"""Minimum number of speakers for an interval."""

_NAMES = {"": "all", "female": "women", "male": "men"}


@dataclass(frozen=True, slots=True)
class GroupCalibration:
    """Calibration of one group of speakers; shares in [0, 1].

    Attributes:
        group: ``"all"``, ``"women"`` or ``"men"``.
        tests: Number of tests.
        n_speakers: Number of speakers.
        accuracy: Share of the tests that are right.
        confidence: Mean probability of the predicted emotion.
        interval: Interval of confidence minus accuracy over speakers; ``None`` with fewer than
            three speakers.
        error: Expected calibration error.
        perfect_error: Median error of a perfectly calibrated model with these confidences.
        perfect_error_high: 95th percentile of the perfectly calibrated model's error.
    """

    group: str
    tests: int
    n_speakers: int
    accuracy: float
    confidence: float
    interval: Interval | None
    error: float
    perfect_error: float
    perfect_error_high: float

    @property
    def excess(self) -> float:
        """Confidence minus accuracy, in [-1, 1]: above 0, the model is overconfident."""
        return self.confidence - self.accuracy


@dataclass(frozen=True, slots=True)
class SpeakerSpread:
    """Variation of confidence minus accuracy over speakers.

    Attributes:
        excess: Confidence minus accuracy of each speaker, in [-1, 1].
        deviation: Standard deviation of ``excess`` over the speakers.
        perfect_deviation: Median deviation of a perfectly calibrated model.
        perfect_deviation_high: 95th percentile of the perfectly calibrated model's deviation.
    """

    excess: dict[str, float]
    deviation: float
    perfect_deviation: float
    perfect_deviation_high: float

    @property
    def worst(self) -> str:
        """The speaker with the largest gap between confidence and accuracy."""
        return max(self.excess, key=lambda speaker: abs(self.excess[speaker]))


@dataclass(frozen=True, slots=True)
class CalibrationByGroup:
    """Calibration of all clips, of women and men, and over speakers.

    Attributes:
        groups: All clips, then women and men if the corpus gives genders.
        speakers: Variation over speakers; ``None`` if there is only one.
    """

    groups: tuple[GroupCalibration, ...]
    speakers: SpeakerSpread | None

    def describe(self) -> list[str]:
        """Return a printable table in percent, followed by a line on the speakers."""
        lines = [
            f"{'':<6}  {'tests':>5}  accuracy  confidence  {'minus accuracy':<22}  "
            f"{'error':>5}  if perfectly calibrated"
        ]
        for entry in self.groups:
            excess = f"{100 * entry.excess:+.1f}"
            if entry.interval is not None:
                low, high = 100 * entry.interval.low, 100 * entry.interval.high
                excess += f" ({low:+.1f} to {high:+.1f})"
            lines.append(
                f"{entry.group:<6}  {entry.tests:5,}  {100 * entry.accuracy:8.1f}  "
                f"{100 * entry.confidence:10.1f}  {excess:<22}  {100 * entry.error:5.1f}  "
                f"{100 * entry.perfect_error:.1f} (95% below {100 * entry.perfect_error_high:.1f})"
            )
        if self.speakers is not None:
            spread = self.speakers
            lines.append(
                f"by speaker: standard deviation {100 * spread.deviation:.1f}, if perfectly "
                f"calibrated {100 * spread.perfect_deviation:.1f} (95% below "
                f"{100 * spread.perfect_deviation_high:.1f}); furthest off: speaker "
                f"{spread.worst}, {100 * spread.excess[spread.worst]:+.1f}"
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON-ready types."""
        return {
            "groups": [{**asdict(entry), "excess": entry.excess} for entry in self.groups],
            "speakers": None if self.speakers is None else asdict(self.speakers),
        }


def measure_group_calibration(
    seeds: Sequence[Predictions], generator: np.random.Generator
) -> CalibrationByGroup:
    """Measure calibration by gender and speaker, compared with a perfectly calibrated model.

    Overconfident and underconfident groups cancel out in the error of all clips, and a small test
    makes the error of any model larger than 0. Each group's error is therefore compared with that
    of a perfectly calibrated model: correctness is simulated 1,000 times, with each clip's
    confidence as its probability of being right.

    Args:
        seeds: Predictions for the same test clips, one entry per seed; figures are means over
            the seeds.
        generator: Source of randomness; the same state gives the same bytes.

    Returns:
        Figures per group. The interval of confidence minus accuracy is Student's t over speakers
        (a ratio estimate over clusters: Cochran 1977, *Sampling Techniques*, section 6.3).

    Raises:
        ValueError: If the seeds did not test the same clips.
    """
    seeds = align_seeds(seeds)
    genders = seeds[0].genders
    present = [gender for gender in _NAMES if not gender or (genders == gender).any()]
    groups = tuple(
        _measure_group(
            _NAMES[gender],
            [part.select(genders == gender) if gender else part for part in seeds],
            generator,
        )
        for gender in present
    )
    return CalibrationByGroup(groups, _measure_spread(seeds, generator))


def _measure_group(
    name: str, seeds: Sequence[Predictions], generator: np.random.Generator
) -> GroupCalibration:
    """Measure the calibration of one group's clips."""
    first, errors = seeds[0], []
    for part in seeds:
        confidence, correct = _judge(part)
        _, cells = bin_confidences(confidence)
        sums = np.bincount(cells, confidence - correct, minlength=CALIBRATION_BINS)
        drawn = _simulate_excess(confidence, cells, CALIBRATION_BINS, generator)
        perfect = np.quantile(np.abs(drawn).sum(axis=1), (0.5, LEVEL))
        errors.append([np.abs(sums).sum(), *perfect])
    error, perfect_error, perfect_error_high = (
        float(value) for value in np.mean(errors, axis=0) / len(first)
    )
    confidence, correct = np.mean([_judge(part) for part in seeds], axis=0)
    return GroupCalibration(
        group=name,
        tests=len(first),
        n_speakers=int(np.unique(first.speakers).size),
        accuracy=float(correct.mean()),
        confidence=float(confidence.mean()),
        interval=_estimate_interval(confidence - correct, first),
        error=error,
        perfect_error=perfect_error,
        perfect_error_high=perfect_error_high,
    )


def _measure_spread(
    seeds: Sequence[Predictions], generator: np.random.Generator
) -> SpeakerSpread | None:
    """Measure how confidence minus accuracy varies over speakers."""
    names, cells, counts = np.unique(seeds[0].speakers, return_inverse=True, return_counts=True)
    if names.size < 2:
        return None
    excess, perfect = [], []
    for part in seeds:
        confidence, correct = _judge(part)
        excess.append(np.bincount(cells, confidence - correct) / counts)
        drawn = _simulate_excess(confidence, cells, names.size, generator) / counts
        perfect.append(np.quantile(drawn.std(axis=1, ddof=1), (0.5, LEVEL)))
    mean = np.mean(excess, axis=0)
    perfect_deviation, perfect_deviation_high = np.mean(perfect, axis=0).tolist()
    return SpeakerSpread(
        excess=dict(zip(names.tolist(), mean.tolist(), strict=True)),
        deviation=float(np.mean([row.std(ddof=1) for row in excess])),
        perfect_deviation=perfect_deviation,
        perfect_deviation_high=perfect_deviation_high,
    )


def _judge(predictions: Predictions) -> tuple[FloatArray, FloatArray]:
    """Return each clip's confidence, and 1 if its prediction is right or 0 if not."""
    correct = (predictions.predicted == predictions.true).astype(np.float64)
    return predictions.probabilities.max(axis=1), correct


def _simulate_excess(
    confidence: FloatArray, cells: IntArray, n_cells: int, generator: np.random.Generator
) -> FloatArray:
    """Sum simulated confidence minus correctness by cell, ``(simulations, cells)``."""
    return np.stack(
        [
            np.bincount(
                cells, confidence - (generator.random(confidence.size) < confidence), n_cells
            )
            for _ in range(SIMULATIONS)
        ]
    )


def _estimate_interval(excess: FloatArray, predictions: Predictions) -> Interval | None:
    """Return Student's t interval of the mean excess over speakers."""
    names, cells, counts = np.unique(predictions.speakers, return_inverse=True, return_counts=True)
    if names.size < MIN_SPEAKERS:
        return None
    mean = float(excess.mean())
    deviations = np.bincount(cells, excess) - counts * mean
    error = np.sqrt(names.size / (names.size - 1) * np.square(deviations).sum()) / excess.size
    half = float(stdtrit(names.size - 1, (1 + LEVEL) / 2) * error)
    return Interval(mean - half, mean + half)
