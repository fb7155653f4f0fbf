"""Two models on the same test clips: is one better, as far as the data can tell?"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from emovox.errors import ProtocolError
from emovox.evaluation.intervals import (
    Interval,
    correct_interval_over_splits,
    interval_over_splits,
)
from emovox.evaluation.metrics import (
    SCORE_NAMES,
    FloatArray,
    IntArray,
    count_confusions,
    score_confusions,
)
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.summary import (
    ResampleBy,
    bootstrap_outcomes,
    score_folds,
    sort_rows,
)
from emovox.wording import count

_SINGULAR = {"speakers": "speaker", "true": "true emotion"}

# Splits that cancel out can leave 1e-18 instead of zero, which must not decide a verdict.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Difference:
    """One score of two models, and how far they are apart.

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

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as JSON-ready types."""
        return {
            "first": self.first,
            "second": self.second,
            "value": self.value,
            "interval": self.interval.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the same test clips say about two models.

    Attributes:
        names: The two models.
        wa: Difference in accuracy; the verdict rests on it.
        ua: Difference in mean recall over classes (UAR).
        f1: Difference in macro F1.
        resample_by: What the intervals resample.
        corrected: Whether the intervals allow for the overlap of repeated splits.
        n_units: How many speakers, splits or clips were resampled.
        better: Name of the model that the data show to be better, or ``None``.
        verdict: The same in words, with the difference and its interval.
    """

    names: tuple[str, str]
    wa: Difference
    ua: Difference
    f1: Difference
    resample_by: ResampleBy
    corrected: bool
    n_units: int
    better: str | None
    verdict: str

    @property
    def differences(self) -> tuple[Difference, Difference, Difference]:
        """WA, UA and F1, in this order."""
        return self.wa, self.ua, self.f1

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON-ready types."""
        return {
            "names": list(self.names),
            **{difference.name: difference.to_dict() for difference in self.differences},
            "resample_by": self.resample_by,
            "corrected": self.corrected,
            "n_units": self.n_units,
            "better": self.better,
            "verdict": self.verdict,
        }


def compare_predictions(
    first: Predictions,
    second: Predictions,
    resample_by: ResampleBy,
    generator: np.random.Generator,
    *,
    names: tuple[str, str] = ("A", "B"),
    test_to_train: float | None = None,
) -> Comparison:
    """Compare two models that were tested on the same clips, in the same folds.

    Both models' scores are taken from the same resampled speakers, splits or clips, so that what
    is hard for both does not hide a difference. The verdict rests on WA, named beforehand:
    looking for one score of three that differs would find differences by chance.

    Over splits, give ``test_to_train``: without it the interval speaks of other splits of the
    same clips only, and names one of two equally good models better far more often than 1 in 20
    times (:func:`~emovox.evaluation.intervals.correct_interval_over_splits`).

    Args:
        first: One model's predictions; their order does not matter.
        second: The other's.
        resample_by: ``"speakers"``, ``"splits"`` (repeated random splits) or ``"clips"`` (one
            small split); :func:`~emovox.evaluation.summary.choose_resampling` says which.
        generator: Source of randomness; the same state gives the same bytes.
        names: What to call the two models in the verdict.
        test_to_train: Test clips for each training clip of a split (36 / 168 in
            ``reference-repeated``), to allow for the splits' overlap; used over splits only.

    Returns:
        The differences with 95% intervals, and the verdict.

    Raises:
        ProtocolError: If labels, clips, folds, speakers or true classes differ.
        ValueError: If ``resample_by`` does not suit, as in
            :func:`~emovox.evaluation.summary.summarize`.

    Example:
        >>> compare_predictions(vanilla, optimized, "splits", generator,
        ...                     names=("vanilla", "optimized")).verdict  # doctest: +SKIP
        'The data do not show either to be better: ...'
    """
    first, second = sort_rows(first), sort_rows(second)
    _check_same_test(first, second, names)
    if resample_by == "splits":
        by_fold = np.stack([score_folds(first), score_folds(second)])  # (2, scores, folds)
        values = by_fold.mean(axis=2)
        n_units = by_fold.shape[2]
        intervals = tuple(
            interval_over_splits(row, generator)
            if test_to_train is None
            else correct_interval_over_splits(row, test_to_train=test_to_train)
            for row in by_fold[0] - by_fold[1]
        )
    else:
        said = np.stack([first.true, first.predicted, second.predicted], axis=1)
        _, seen, index = np.unique(said, axis=0, return_index=True, return_inverse=True)
        # Outcomes are numbered as clips bring them, so that B against A mirrors A against B.
        order = np.argsort(seen)
        outcomes = said[seen[order]]

        def score(counts: IntArray, model: int) -> FloatArray:
            return score_confusions(
                count_confusions(counts, outcomes[:, 0], outcomes[:, model], len(first.labels))
            )

        index = np.argsort(order)[index.reshape(-1)]  # (clips,): numpy 2.0 gives (clips, 1)
        values = np.stack([score(np.bincount(index)[None], model)[:, 0] for model in (1, 2)])
        resampled = first.speakers if resample_by == "speakers" else first.clips
        n_units = int(np.unique(resampled).size)
        intervals = bootstrap_outcomes(
            index,
            first,
            resample_by,
            lambda counts: score(counts, 1) - score(counts, 2),
            generator,
        )
    wa, ua, f1 = (
        Difference(name, float(a), float(b), float(a - b), interval)
        for name, a, b, interval in zip(SCORE_NAMES, *values, intervals, strict=True)
    )
    better = None
    if wa.interval.low > _ROUNDING:
        better = names[0]
    elif wa.interval.high < -_ROUNDING:
        better = names[1]
    units = count(n_units, resample_by.removesuffix("s"))
    if resample_by == "splits":
        units += " of the same clips" if test_to_train is None else ", corrected for their overlap"
    return Comparison(
        names=names,
        wa=wa,
        ua=ua,
        f1=f1,
        resample_by=resample_by,
        corrected=resample_by == "splits" and test_to_train is not None,
        n_units=n_units,
        better=better,
        verdict=_describe_verdict(wa, better, names, units),
    )


def _check_same_test(first: Predictions, second: Predictions, names: tuple[str, str]) -> None:
    """Refuse two models that were not asked the same; say where they part."""
    if first.labels != second.labels:
        raise ProtocolError(
            f"{names[0]} knows the labels {', '.join(first.labels)} and {names[1]} "
            f"{', '.join(second.labels)}; expected the same, in the same order: "
            "compare models of the same labels"
        )
    tests = [
        set(zip(entry.folds.tolist(), entry.clips.tolist(), strict=True))
        for entry in (first, second)
    ]
    if tests[0] != tests[1]:
        found = "; ".join(
            f"{len(alone)} only in {name} (the first: clip {min(alone)[1]} of fold {min(alone)[0]})"
            for name, alone in zip(names, (tests[0] - tests[1], tests[1] - tests[0]), strict=True)
            if alone
        )
        raise ProtocolError(
            f"{names[0]} and {names[1]} were not tested on the same clips in the same folds: "
            f"{found}; expected the same tests: run both under one protocol"
        )
    for what in ("speakers", "true"):
        differs = np.flatnonzero(getattr(first, what) != getattr(second, what))
        if differs.size:
            row = differs[0]
            raise ProtocolError(
                f"{names[0]} and {names[1]} disagree about the {_SINGULAR[what]} of clip "
                f"{first.clips[row]} ({differs.size} in all); expected the same corpus: "
                "run both on one copy of it"
            )


def _describe_verdict(
    wa: Difference, better: str | None, names: tuple[str, str], units: str
) -> str:
    """Say in words what the interval of the difference in accuracy says."""
    low, high = wa.interval.low, wa.interval.high
    level = f"{100 * wa.interval.level:g}% interval"
    if better is None:
        return (
            f"The data do not show either to be better: {_points(wa.value)} points WA for "
            f"{names[0]} against {names[1]} ({level} {_points(low)} to {_points(high)}, "
            f"paired over {units})"
        )
    value = wa.value
    if high < 0:
        value, low, high = -value, -high, -low
    return (
        f"The data show that {better} is better: {_points(value)} points WA "
        f"({level} {_points(low)} to {_points(high)}, paired over {units})"
    )


def _points(share: float) -> str:
    """Return a difference in points with its sign: ``+3.1``; zero is ``+0.0``."""
    return f"{round(100 * share, 1) + 0.0:+.1f}"
