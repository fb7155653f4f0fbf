"""Compare two models on the same test clips: do the data show one to be better?"""

from collections.abc import Sequence

import numpy as np

from emovox.errors import ProtocolError
from emovox.evaluation.comparison import Comparison, Difference, PairedTest
from emovox.evaluation.intervals import correct_interval_over_splits, interval_over_splits
from emovox.evaluation.metrics import SCORE_NAMES, FloatArray, IntArray
from emovox.evaluation.outcomes import code_outcomes, score_models
from emovox.evaluation.paired_test import compare_paired, exact_paired_interval
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.resampling import find_intervals
from emovox.evaluation.summary import ResampleBy, align_seeds, average_folds, score_folds
from emovox.wording import count

_SINGULAR = {"speakers": "speaker", "true": "true emotion"}


def compare_predictions(
    first: Predictions | Sequence[Predictions],
    second: Predictions | Sequence[Predictions],
    resample_by: ResampleBy,
    generator: np.random.Generator,
    *,
    names: tuple[str, str] = ("A", "B"),
    test_to_train: float | None = None,
) -> Comparison:
    """Compare two models that were tested on the same clips, in the same folds.

    Both models are scored on the same resampled speakers, splits or clips. This pairing keeps
    clips that are hard for both from hiding a difference. The verdict rests on WA, fixed in
    advance: testing three scores would find more differences by chance. Over corpora, whose shares
    of each emotion differ, it rests on UA.

    With one training each, the verdict is about these trained models, not about their recipes; on
    one split it is McNemar's exact test, and the interval of WA agrees with it. With several seeds
    of each, the intervals cover other seeds as well (``find_intervals``).

    Over splits, pass ``test_to_train``. Without it, the interval covers only other splits of the
    same clips, and declares one of two equally good models better far more often than 1 in 20
    times (``correct_interval_over_splits``).

    Args:
        first: One model's predictions, or those of each of its seeds, in any order.
        second: The other model's predictions.
        resample_by: ``"speakers"``, ``"splits"`` (repeated random splits), ``"clips"`` (one
            small split) or ``"corpora"`` (the speakers within each corpus); see
            ``choose_resampling``.
        generator: Source of randomness; the same state gives the same bytes.
        names: Names of the two models in the verdict.
        test_to_train: Ratio of test clips to training clips in a split (36 / 168 in
            ``reference-repeated``), to correct for the splits' overlap; used over splits only.

    Returns:
        The differences with 95% intervals, and the verdict.

    Raises:
        ProtocolError: If labels, clips, folds, speakers or true classes differ, or one model has
            several seeds and the other has one.
        ValueError: If ``resample_by`` does not fit the predictions, as in ``summarize``.
    """
    sides = [
        align_seeds([side] if isinstance(side, Predictions) else side) for side in (first, second)
    ]
    n_seeds = [len(side) for side in sides]
    if min(n_seeds) == 1 and max(n_seeds) > 1:
        raise ProtocolError(
            f"found {count(n_seeds[0], 'training')} of {names[0]} and {n_seeds[1]} of {names[1]}; "
            "expected one of each, or several seeds of each: train more, or compare one of each"
        )
    tested = sides[0][0]
    _check_same_test(tested, sides[1][0], names)
    test = None
    if resample_by == "splits":
        of_seeds = [np.array([score_folds(seed) for seed in side]) for side in sides]
        by_fold = of_seeds[0].mean(axis=0) - of_seeds[1].mean(axis=0)  # (scores, folds)
        of_seeds = [scores.mean(axis=2) for scores in of_seeds]  # (seeds, scores)
        n_units = by_fold.shape[1]
        intervals = tuple(
            interval_over_splits(row, generator)
            if test_to_train is None
            else correct_interval_over_splits(row, test_to_train=test_to_train)
            for row in by_fold
        )
    else:
        # Numbered by first appearance, which makes B against A mirror A against B.
        outcomes = code_outcomes(
            tested.true, *(seed.predicted for side in sides for seed in side), by_appearance=True
        )
        of_models = score_models(outcomes, len(tested.labels))

        def score_difference(counts: IntArray) -> FloatArray:
            scores = of_models(counts)  # (models, scores, draws)
            first, second = (part.mean(axis=0) for part in np.split(scores, n_seeds[:1]))
            difference: FloatArray = first - second
            return difference

        scores = of_models(outcomes.counts[None])[..., 0]  # (models, scores)
        of_seeds = np.split(scores, n_seeds[:1])
        if resample_by == "corpora":
            of_seeds = [average_folds(side) for side in sides]
        units = tested.folds if resample_by == "corpora" else getattr(tested, resample_by)
        n_units = int(np.unique(units).size)
        intervals = find_intervals(
            outcomes.index,
            tested,
            resample_by,
            score_difference,
            generator,
            seeds=of_seeds,
            lowest=-1.0,
        )
        if resample_by == "clips" and max(n_seeds) == 1:
            test = _test_paired(tested, sides[1][0])
            exact = exact_paired_interval(test.first_only, test.second_only, n_units)
            intervals = (exact, *intervals[1:])
    wa, ua, f1 = (
        Difference(name, float(a), float(b), float(a - b), interval)
        for name, a, b, interval in zip(
            SCORE_NAMES, *(scores.mean(axis=0) for scores in of_seeds), intervals, strict=True
        )
    )
    column = 1 if resample_by == "corpora" else 0
    return Comparison(
        names=names,
        wa=wa,
        ua=ua,
        f1=f1,
        of_seeds=(tuple(of_seeds[0][:, column].tolist()), tuple(of_seeds[1][:, column].tolist())),
        resample_by=resample_by,
        corrected=resample_by == "splits" and test_to_train is not None,
        n_units=n_units,
        test=test,
    )


def _check_same_test(first: Predictions, second: Predictions, names: tuple[str, str]) -> None:
    """Refuse two models with different labels or test clips, and report the difference."""
    if first.labels != second.labels:
        raise ProtocolError(
            f"{names[0]} has the labels {', '.join(first.labels)} and {names[1]} "
            f"{', '.join(second.labels)}; expected the same, in the same order: "
            "compare models with the same labels"
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


def _test_paired(first: Predictions, second: Predictions) -> PairedTest:
    """Count the clips that only one of two models gets right, and test whether this is chance."""
    right = [model.predicted == model.true for model in (first, second)]
    first_only, second_only = (int(np.count_nonzero(a & ~b)) for a, b in (right, reversed(right)))
    return PairedTest(first_only, second_only, compare_paired(first_only, second_only))
