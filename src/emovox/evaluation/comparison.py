"""Result of a comparison of two models, and its verdict in words."""

from dataclasses import asdict, dataclass
from typing import Any

from emovox.evaluation.intervals import LEVEL, Interval
from emovox.evaluation.resampling import name_interval
from emovox.evaluation.summary import ResampleBy
from emovox.wording import count

# Splits that cancel out can leave 1e-18 instead of zero, which must not decide the verdict.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Difference:
    """One score of two models, and the difference between them.

    Attributes:
        name: ``"WA"``, ``"UA"`` or ``"F1"``.
        first: Score of the first model, in [0, 1].
        second: Score of the second model, in [0, 1].
        value: First minus second, in [-1, 1].
        interval: Paired interval of the difference.
    """

    name: str
    first: float
    second: float
    value: float
    interval: Interval

    def turn(self) -> "Difference":
        """Return the second minus the first."""
        interval = Interval(-self.interval.high, -self.interval.low, self.interval.level)
        return Difference(self.name, self.second, self.first, -self.value, interval)

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as JSON-ready types."""
        return {
            "first": self.first,
            "second": self.second,
            "value": self.value,
            "interval": self.interval.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class PairedTest:
    """McNemar's exact test of two trained models on the same clips.

    Attributes:
        first_only: Clips that only the first model gets right.
        second_only: Clips that only the second gets right.
        p_value: Two-sided, in (0, 1].
    """

    first_only: int
    second_only: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of comparing two models on the same test clips.

    Attributes:
        names: Names of the two models.
        wa: Difference in accuracy.
        ua: Difference in mean recall over classes (UAR).
        f1: Difference in macro F1.
        of_seeds: The score of each seed that the verdict rests on, for each model.
        resample_by: Unit that the intervals resample.
        corrected: Whether the intervals are corrected for the overlap of repeated splits.
        n_units: Number of speakers, splits or clips resampled.
        test: With one split and one training each, the test that the verdict rests on.
        four: Difference in UA over four classes; only over corpora.
    """

    names: tuple[str, str]
    wa: Difference
    ua: Difference
    f1: Difference
    of_seeds: tuple[tuple[float, ...], tuple[float, ...]]
    resample_by: ResampleBy
    corrected: bool
    n_units: int
    test: PairedTest | None
    four: Difference | None = None

    @property
    def decisive(self) -> Difference:
        """The difference that the verdict rests on: UA over corpora, otherwise WA."""
        return self.ua if self.resample_by == "corpora" else self.wa

    @property
    def better(self) -> str | None:
        """Name of the model that the data show to be better, or ``None``.

        Always ``None`` for one split with one training each, which cannot tell recipes apart.
        """
        if self.test is None and self.decisive.interval.low > _ROUNDING:
            return self.names[0]
        if self.test is None and self.decisive.interval.high < -_ROUNDING:
            return self.names[1]
        return None

    @property
    def verdict(self) -> str:
        """The conclusion in sentences, with its basis."""
        if self.test is not None:
            return _describe_test(self.test, self.n_units, self.names)
        names, ahead = self.names, self.decisive
        if self.better is None:
            claim = "The data do not show either to be better"
            subject = f" for {names[0]} against {names[1]}"
        else:
            claim, subject = f"The data show that {self.better} is better", ""
            ahead = ahead if self.better == names[0] else ahead.turn()
        low, high = _points(ahead.interval.low), _points(ahead.interval.high)
        kind = name_interval(self.resample_by, self.n_units, max(self.n_seeds)).split(" over")[0]
        return (
            f"{claim}: {_points(ahead.value)} points {ahead.name}{subject} "
            f"({100 * ahead.interval.level:g}% {kind} {low} to {high}, paired over "
            f"{_describe_basis(self)}"
        )

    @property
    def n_seeds(self) -> tuple[int, int]:
        """Number of seeds of each model."""
        first, second = self.of_seeds
        return len(first), len(second)

    @property
    def differences(self) -> tuple[Difference, Difference, Difference]:
        """WA, UA and F1, in this order."""
        return self.wa, self.ua, self.f1

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON-ready types."""
        return {
            "names": list(self.names),
            **{difference.name: difference.to_dict() for difference in self.differences},
            **({"four": self.four.to_dict()} if self.four else {}),
            f"{self.decisive.name.lower()}_of_seeds": [list(values) for values in self.of_seeds],
            "resample_by": self.resample_by,
            "corrected": self.corrected,
            "n_units": self.n_units,
            "test": asdict(self.test) if self.test else None,
            "better": self.better,
            "verdict": self.verdict,
        }


def _describe_test(test: PairedTest, n_clips: int, names: tuple[str, str]) -> str:
    """Describe the result of the paired test of two trainings."""
    p_value = "p < 0.001" if test.p_value < 0.001 else f"p = {test.p_value:.3f}"
    counts = (
        f"{test.first_only} are predicted right by {names[0]} alone and {test.second_only} by "
        f"{names[1]} alone (exact McNemar test, {p_value})"
    )
    ahead = names[0] if test.first_only > test.second_only else names[1]
    verdict = (
        f"Of these two trained models, {ahead} predicts more of these {n_clips:,} clips right: "
        f"{counts}."
        if test.p_value < 1 - LEVEL
        else "The data do not show either of these two trained models to be better: of these "
        f"{n_clips:,} clips, {counts}."
    )
    return (
        f"{verdict} One training each does not tell which recipe is better: compare several seeds "
        "of each."
    )


def _describe_basis(comparison: Comparison) -> str:
    """Describe what the interval was computed over, and what the verdict covers."""
    units = (
        f"the speakers within {comparison.n_units} corpora"
        if comparison.resample_by == "corpora"
        else count(comparison.n_units, comparison.resample_by.removesuffix("s"))
    )
    first, second = comparison.n_seeds
    seeds = f"{first} seeds each" if first == second else f"{first} and {second} seeds"
    several = max(first, second) > 1
    if comparison.resample_by == "splits":
        units += ", corrected for their overlap" if comparison.corrected else " of the same clips"
        return f"{units}; mean of {seeds})." if several else f"{units})."
    if several:
        return f"{units} and taken over {seeds})."
    return (
        f"{units}). This is about these two trained models, from one seed each: other seeds may "
        "differ."
    )


def _points(share: float) -> str:
    """Return a difference in points with its sign: ``+3.1``; zero is ``+0.0``."""
    return f"{round(100 * share, 1) + 0.0:+.1f}"
