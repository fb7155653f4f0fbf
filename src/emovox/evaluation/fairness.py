"""Compare scores for women and men: scores by gender, and their gap with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emovox.evaluation.intervals import Interval, draw_speakers, take_percentiles
from emovox.evaluation.metrics import FloatArray, IntArray
from emovox.evaluation.outcomes import code_outcomes, score_models
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.resampling import FEW_SPEAKERS
from emovox.evaluation.summary import align_seeds
from emovox.evaluation.t_intervals import measure_speaker_variance, t_intervals

SPEAKERS_FOR_GAP = 3
"""Minimum number of speakers of each gender for an interval."""


@dataclass(frozen=True, slots=True)
class GenderGap:
    """One score of women and of men, in [0, 1].

    Intervals are ``None`` if either gender has fewer than three speakers.

    Attributes:
        name: ``"WA"`` (accuracy) or ``"UA"`` (mean recall over classes).
        female: Score of the women's clips.
        male: Score of the men's clips.
        female_interval: Interval of ``female`` over female speakers.
        male_interval: Interval of ``male`` over male speakers.
        interval: Interval of female minus male.
    """

    name: str
    female: float
    male: float
    female_interval: Interval | None
    male_interval: Interval | None
    interval: Interval | None

    @property
    def difference(self) -> float:
        """Female minus male, in [-1, 1]."""
        return self.female - self.male

    @property
    def verdict(self) -> str:
        """The conclusion in words."""
        if self.interval is None:
            return "too few speakers to tell whether that is more than chance"
        if self.interval.low > 0 or self.interval.high < 0:
            return "these speakers show a difference"
        return "these speakers do not show a difference"

    def to_dict(self) -> dict[str, Any]:
        """Return the gap as JSON-ready types."""
        intervals = {
            key: None if interval is None else interval.to_dict()
            for key, interval in (
                ("female_interval", self.female_interval),
                ("male_interval", self.male_interval),
                ("interval", self.interval),
            )
        }
        return {
            "female": self.female,
            "male": self.male,
            "difference": self.difference,
            **intervals,
        }


@dataclass(frozen=True, slots=True)
class Fairness:
    """Scores of women and men.

    Attributes:
        wa: Accuracy of each gender.
        ua: Mean recall over classes of each gender.
        n_female: Number of female speakers.
        n_male: Number of male speakers.
    """

    wa: GenderGap
    ua: GenderGap
    n_female: int
    n_male: int

    @property
    def gaps(self) -> tuple[GenderGap, GenderGap]:
        """WA and UA, in this order."""
        return self.wa, self.ua

    @property
    def interval_name(self) -> str:
        """Kind of the gap's interval."""
        few = min(self.n_female, self.n_male) < FEW_SPEAKERS
        return f"{'t ' if few else ''}interval over speakers within gender"

    def describe(self) -> list[str]:
        """Return one printable line each for WA and UA."""
        lines = []
        for gap in self.gaps:
            interval = ""
            if gap.interval is not None:
                interval = (
                    f" (95% {self.interval_name}: {100 * gap.interval.low:+.1f} to "
                    f"{100 * gap.interval.high:+.1f})"
                )
            lines.append(
                f"{gap.name} of women ({self.n_female}) {100 * gap.female:.1f}, "
                f"of men ({self.n_male}) {100 * gap.male:.1f}: "
                f"{100 * gap.difference:+.1f} points{interval}; {gap.verdict}"
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return both gaps as JSON-ready types."""
        return {
            "n_female": self.n_female,
            "n_male": self.n_male,
            "interval": self.interval_name,
            **{gap.name: gap.to_dict() for gap in self.gaps},
        }


def compare_genders(predictions: Predictions, generator: np.random.Generator) -> Fairness | None:
    """Compare how well women and men are recognised.

    The intervals show how far scores and gap would move with other women and men. With at least
    ``FEW_SPEAKERS`` of a gender, speakers and then clips within speakers are resampled 2,000
    times. With fewer, the interval is a t interval, and the gap's is Welch's. Repeated tests of a
    clip all count.

    Args:
        predictions: Predictions for the test clips; speakers of unknown gender are left out.
        generator: Source of randomness; the same state gives the same bytes.

    Returns:
        Scores and gaps, or ``None`` if either gender is missing.
    """
    return compare_genders_of_seeds([predictions], generator)


def compare_genders_of_seeds(
    seeds: Sequence[Predictions], generator: np.random.Generator
) -> Fairness | None:
    """Compare scores of women and men, averaged over trainings that differ only in seed.

    Each bootstrap draw uses the same clips for all seeds, as in
    ``emovox.evaluation.summary.summarize_seeds``.

    Args:
        seeds: Predictions for the same test clips, one entry per seed.
        generator: Source of randomness; the same state gives the same bytes.

    Returns:
        Mean scores and gaps, or ``None`` if either gender is missing.

    Raises:
        ValueError: If the seeds did not test the same clips.
    """
    seeds = align_seeds(seeds)
    predictions = seeds[0]
    outcomes = code_outcomes(predictions.true, *(part.predicted for part in seeds))
    of_models = score_models(outcomes, len(predictions.labels))
    n_outcomes = len(outcomes.rows)

    def score(counts: IntArray) -> FloatArray:
        mean: FloatArray = of_models(counts).mean(axis=0)[:2]
        return mean  # (2, draws): accuracy and UAR

    values, variances, n_speakers = [], [], []
    drawn: list[FloatArray | None] = []
    for gender in ("female", "male"):
        own = predictions.genders == gender
        if not own.any():
            return None
        index, speakers = outcomes.index[own], predictions.speakers[own]
        values.append(score(np.bincount(index, minlength=n_outcomes)[None])[:, 0])
        n_speakers.append(int(np.unique(speakers).size))
        if n_speakers[-1] >= SPEAKERS_FOR_GAP:
            variances.append(
                measure_speaker_variance(index, speakers, score, n_outcomes=n_outcomes)
            )
        if n_speakers[-1] >= FEW_SPEAKERS:
            drawn.append(score(draw_speakers(index, speakers, generator, n_outcomes=n_outcomes)))
        else:
            drawn.append(None)
    intervals: list[tuple[Interval | None, ...]] = [(None, None)] * 3
    if len(variances) == 2:
        intervals = [
            t_intervals(value, [variance]) if draws is None else take_percentiles(draws)
            for value, variance, draws in zip(values, variances, drawn, strict=True)
        ]
        female, male = drawn
        intervals.append(
            t_intervals(values[0] - values[1], variances, lowest=-1.0)
            if female is None or male is None
            else take_percentiles(female - male)
        )
    wa, ua = (
        GenderGap(
            name,
            female=float(values[0][i]),
            male=float(values[1][i]),
            female_interval=intervals[0][i],
            male_interval=intervals[1][i],
            interval=intervals[2][i],
        )
        for i, name in enumerate(("WA", "UA"))
    )
    return Fairness(wa, ua, *n_speakers)
