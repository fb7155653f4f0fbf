import json

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats

from emovox.errors import ProtocolError
from emovox.evaluation.compare import compare_predictions
from emovox.evaluation.comparison import Comparison
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.summary import ResampleBy, score_folds, summarize

LABELS = ("calm", "angry")
N_SPEAKERS, N_CLIPS = 10, 20


def make(right: npt.NDArray[np.bool_]) -> Predictions:
    """Return a model that is right on given clips, of ten speakers in five folds."""
    index = np.arange(N_SPEAKERS * N_CLIPS)
    true = index % 2
    return Predictions(
        clips=np.array([f"{i:03d}" for i in index]),
        folds=np.array([f"{i % 5:02d}" for i in index]),
        speakers=np.array([f"{i // N_CLIPS:02d}" for i in index]),
        genders=np.array(["female"] * index.size),
        true=true,
        probabilities=np.eye(2)[np.where(right, true, 1 - true)] * 0.8 + 0.1,
        labels=LABELS,
    )


def change(predictions: Predictions, **fields: object) -> Predictions:
    kept = {name: getattr(predictions, name) for name in Predictions.__slots__}
    return Predictions(**{**kept, **fields})


def random_model(skill: float, seed: int) -> Predictions:
    return make(np.random.default_rng(seed).random(N_SPEAKERS * N_CLIPS) < skill)


def compare(
    first: Predictions, second: Predictions, resample_by: ResampleBy = "speakers", seed: int = 0
) -> Comparison:
    return compare_predictions(first, second, resample_by, np.random.default_rng(seed))


RESAMPLED: tuple[ResampleBy, ...] = ("speakers", "splits", "clips")


@pytest.mark.parametrize("resample_by", RESAMPLED)
def test_a_model_beside_itself_differs_by_nothing(resample_by: ResampleBy) -> None:
    model = random_model(0.6, 1)
    comparison = compare(model, model, resample_by)
    for difference in comparison.differences:
        assert (difference.value, difference.interval.low, difference.interval.high) == (0, 0, 0)
    assert comparison.better is None
    assert comparison.verdict.startswith("The data do not show either ")


def test_the_same_gain_for_every_speaker_is_certain_only_when_paired() -> None:
    # The second model errs where the first does, and on one clip more of each speaker.
    first_right = np.random.default_rng(2).random((N_SPEAKERS, N_CLIPS)) < 0.7
    second_right = first_right.copy()
    for row in second_right:
        row[np.flatnonzero(row)[0]] = False
    first, second = make(first_right.ravel()), make(second_right.ravel())
    comparison = compare(first, second)
    assert comparison.wa.value == pytest.approx(1 / N_CLIPS)
    assert comparison.wa.first == pytest.approx(first_right.mean())
    assert comparison.wa.second == pytest.approx(second_right.mean())
    assert comparison.better == "A"
    paired = comparison.wa.interval
    alone = summarize(first, "speakers", np.random.default_rng(0)).wa.interval
    assert 0 < paired.low < 1 / N_CLIPS < paired.high
    assert paired.high - paired.low < 0.6 * (alone.high - alone.low)


SCOPE = " This is about these two trained models, from one seed each: other seeds may differ."


@pytest.mark.parametrize(
    ("resample_by", "kind", "units", "scope"),
    [
        ("speakers", "t interval", "10 speakers", SCOPE),
        ("splits", "interval", "5 splits of the same clips", ""),
    ],
)
def test_the_better_model_is_named_in_either_order(
    resample_by: ResampleBy, kind: str, units: str, scope: str
) -> None:
    good, bad = random_model(0.9, 1), random_model(0.4, 2)
    ahead, behind = compare(good, bad, resample_by), compare(bad, good, resample_by)
    assert (ahead.better, behind.better) == ("A", "B")
    wa, low, high = ahead.wa, 100 * ahead.wa.interval.low, 100 * ahead.wa.interval.high
    assert ahead.verdict == (
        f"The data show that A is better: +{100 * wa.value:.1f} points WA (95% {kind} +{low:.1f} "
        f"to +{high:.1f}, paired over {units}).{scope}"
    )
    assert behind.verdict == ahead.verdict.replace("A is", "B is")
    assert behind.wa.value == pytest.approx(-wa.value)
    assert ahead.n_units == int(units.split()[0])


def make_pair(first_only: int, second_only: int, seed: int = 0) -> tuple[Predictions, Predictions]:
    """Return two models on 36 clips of one split, with 12 clips that both get right."""
    generator = np.random.default_rng(seed)
    right = np.zeros((2, 36), dtype=bool)
    right[:, :12] = True
    right[0, 12 : 12 + first_only] = True
    right[1, 12 + first_only : 12 + first_only + second_only] = True
    right = right[:, generator.permutation(36)]
    true = generator.integers(2, size=36)
    first, second = (
        Predictions(
            clips=np.array([f"{i:02d}" for i in range(36)]),
            folds=np.array(["42"] * 36),
            speakers=np.array([f"{i % 4}" for i in range(36)]),
            genders=np.array([""] * 36),
            true=true,
            probabilities=np.eye(2)[np.where(row, true, 1 - true)],
            labels=LABELS,
        )
        for row in right
    )
    return first, second


@pytest.mark.parametrize("seed", range(20))
def test_the_same_table_of_one_split_always_gets_the_same_verdict(seed: int) -> None:
    # Percentiles of a bootstrap called some of these better and others not.
    first, second = make_pair(6, 1, seed)
    comparison = compare(first, second, "clips", seed)
    assert comparison.test is not None
    assert comparison.test.p_value == 0.125
    assert (comparison.test.first_only, comparison.test.second_only) == (6, 1)
    assert comparison.better is None
    assert comparison.wa.interval.low < 0 < comparison.wa.interval.high
    assert comparison.verdict == (
        "The data do not show either of these two trained models to be better: of these 36 clips, "
        "6 are predicted right by A alone and 1 by B alone (exact McNemar test, p = 0.125). One "
        "training each does not tell which recipe is better: compare several seeds of each."
    )


def test_one_training_each_is_never_called_the_better_recipe() -> None:
    first, second = make_pair(10, 1)
    comparison = compare(second, first, "clips")
    # 2 * (1 + 11) / 2**11
    assert comparison.test is not None
    assert comparison.test.p_value == pytest.approx(0.01171875)
    assert comparison.better is None
    assert comparison.wa.interval.high < 0
    assert comparison.verdict.startswith(
        "Of these two trained models, B predicts more of these 36 clips right: 1 are predicted "
        "right by A alone and 10 by B alone (exact McNemar test, p = 0.012)."
    )


def make_seeds(n_right: list[int], seed: int) -> list[Predictions]:
    """Return trainings that get so many of 36 clips right, those easy for the recipe more often."""
    generator = np.random.default_rng(seed)
    ease = np.linspace(-1.5, 1.5, 36) + generator.normal(size=36)
    model, _ = make_pair(0, 0)
    seeds = []
    for n in n_right:
        right = np.argsort(-(ease + generator.normal(size=36))).argsort() < n
        said = np.where(right, model.true, 1 - model.true)
        seeds.append(change(model, probabilities=np.eye(2)[said]))
    return seeds


# Five seeds on the split of `reference`: 75.0 72.2 72.2 66.7 75.0 and 58.3 61.1 66.7 66.7 50.0.
VANILLA, OPTIMIZED = [27, 26, 26, 24, 27], [21, 22, 24, 24, 18]


@pytest.mark.parametrize("seed", range(5))
def test_five_seeds_on_36_clips_leave_twelve_points_open(seed: int) -> None:
    vanilla, optimized = make_seeds(VANILLA, seed), make_seeds(OPTIMIZED, 100 + seed)
    comparison = compare_predictions(
        optimized, vanilla, "clips", np.random.default_rng(0), names=("optimized", "vanilla")
    )
    assert comparison.n_seeds == (5, 5)
    assert comparison.of_seeds[1] == pytest.approx([27 / 36, 26 / 36, 26 / 36, 24 / 36, 27 / 36])
    assert comparison.wa.value == pytest.approx((109 - 130) / 180)
    # Only the seeds: variances 11.5/3 and 35.3/5 clips; the clips' own comes on top.
    over_seeds = np.var(VANILLA, ddof=1) / 5 + np.var(OPTIMIZED, ddof=1) / 5
    half = (comparison.wa.interval.high - comparison.wa.interval.low) / 2
    assert half > 2 * np.sqrt(over_seeds) / 36
    assert comparison.test is None
    assert comparison.better is None
    assert comparison.verdict.startswith(
        "The data do not show either to be better: -11.7 points WA for optimized against vanilla "
        "(95% t interval -"
    )
    assert comparison.verdict.endswith("paired over 36 clips and taken over 5 seeds each).")


def test_seeds_that_all_agree_show_the_better_recipe() -> None:
    good, bad = make_seeds([34, 35, 34, 33, 35], 1), make_seeds([15, 17, 16, 18, 14], 2)
    comparison = compare_predictions(bad, good, "clips", np.random.default_rng(0))
    assert comparison.better == "B"
    assert comparison.verdict.startswith("The data show that B is better: +50.6 points WA (95% t ")
    turned = compare_predictions(good, bad, "clips", np.random.default_rng(1))
    assert turned.verdict == comparison.verdict.replace("B is", "A is")


def test_a_difference_of_seeds_has_the_variances_of_clips_and_seeds() -> None:
    first, second = make_seeds(VANILLA, 1), make_seeds(OPTIMIZED, 2)
    comparison = compare_predictions(first, second, "clips", np.random.default_rng(0))
    right = np.array([[seed.predicted == seed.true for seed in side] for side in (first, second)])
    of_clips = right.mean(axis=1)[0] - right.mean(axis=1)[1]
    parts = np.array([of_clips.var(ddof=1) / 36, *(right.mean(axis=2).var(axis=1, ddof=1) / 5)])
    freedom = parts.sum() ** 2 / (parts**2 / [35, 4, 4]).sum()
    half = scipy.stats.t.ppf(0.975, freedom) * np.sqrt(parts.sum())
    interval = comparison.wa.interval
    assert (interval.low, interval.high) == pytest.approx(
        (21 / 180 - half, 21 / 180 + half), abs=1e-9
    )


def test_equal_recipes_whose_seeds_differ_are_seldom_told_apart() -> None:
    # Resampling clips alone calls one of two equal recipes better in about half of such cases.
    generator = np.random.default_rng(3)
    found = 0
    for i in range(60):
        n_right = generator.integers(20, 32, size=(2, 5))
        first, second = (make_seeds(row.tolist(), 2 * i + j) for j, row in enumerate(n_right))
        found += compare_predictions(first, second, "clips", generator).better is not None
    assert found <= 6


def test_several_seeds_are_not_compared_with_one() -> None:
    one, several = random_model(0.6, 1), [random_model(0.6, seed) for seed in (2, 3)]
    with pytest.raises(ProtocolError, match="found 1 training of A and 2 of B; expected one of"):
        compare_predictions(one, several, "speakers", np.random.default_rng(0))


def test_seeds_over_speakers_and_splits_say_so() -> None:
    good = [random_model(0.9, seed) for seed in (1, 2, 3)]
    bad = [random_model(0.4, seed) for seed in (4, 5)]
    by_speakers = compare_predictions(good, bad, "speakers", np.random.default_rng(0))
    assert by_speakers.better == "A"
    assert by_speakers.verdict.endswith("over 10 speakers and taken over 3 and 2 seeds).")
    by_splits = compare_predictions(
        good, bad, "splits", np.random.default_rng(0), test_to_train=0.25
    )
    difference = np.mean([score_folds(g) for g in good], axis=0) - np.mean(
        [score_folds(b) for b in bad], axis=0
    )
    assert by_splits.wa.value == pytest.approx(difference[0].mean())
    assert by_splits.verdict.endswith("corrected for their overlap; mean of 3 and 2 seeds).")


def test_a_difference_that_may_be_chance_is_not_called_one() -> None:
    comparison = compare_predictions(
        random_model(0.60, 1),
        random_model(0.60, 5),
        "speakers",
        np.random.default_rng(0),
        names=("vanilla", "optimized"),
    )
    assert comparison.wa.interval.low < 0 < comparison.wa.interval.high
    assert comparison.better is None
    assert "better: " in comparison.verdict
    assert "points WA for vanilla against optimized (95% t interval -" in comparison.verdict


def test_over_splits_the_difference_is_the_mean_of_the_splits_differences() -> None:
    first, second = random_model(0.7, 1), random_model(0.5, 2)
    by_split = score_folds(first) - score_folds(second)
    comparison = compare(first, second, "splits")
    assert [entry.value for entry in comparison.differences] == pytest.approx(by_split.mean(axis=1))
    assert comparison.wa.interval.low >= by_split[0].min()
    assert comparison.wa.interval.high <= by_split[0].max()


def test_over_splits_the_overlap_can_be_allowed_for() -> None:
    first, second = random_model(0.7, 1), random_model(0.6, 2)
    plain = compare(first, second, "splits")
    corrected = compare_predictions(
        first, second, "splits", np.random.default_rng(0), test_to_train=36 / 168
    )
    by_split = (score_folds(first) - score_folds(second))[0]
    # t(4) at 97.5% is 2.776445.
    half = 2.776445 * np.sqrt((1 / 5 + 36 / 168) * by_split.var(ddof=1))
    assert corrected.wa.value == plain.wa.value
    assert corrected.wa.interval.high == pytest.approx(by_split.mean() + half, abs=1e-6)
    assert (plain.corrected, corrected.corrected) == (False, True)
    assert corrected.verdict.endswith("paired over 5 splits, corrected for their overlap).")


def test_splits_that_cancel_out_decide_nothing() -> None:
    # A wins by one clip of 40 in two folds and loses by one in two others.
    right = np.ones(N_SPEAKERS * N_CLIPS, dtype=bool)
    first_right, second_right = right.copy(), right.copy()
    second_right[[0, 1]] = False
    first_right[[2, 3]] = False
    comparison = compare(make(first_right), make(second_right), "splits")
    assert comparison.wa.value == pytest.approx(0, abs=1e-12)
    assert comparison.better is None
    assert ": +0.0 points WA" in comparison.verdict


@pytest.mark.parametrize("resample_by", RESAMPLED)
def test_the_same_seed_gives_the_same_bytes_in_any_order(resample_by: ResampleBy) -> None:
    first, second = random_model(0.7, 1), random_model(0.6, 2)
    order = np.random.default_rng(1).permutation(len(first))
    texts = [
        json.dumps(entry.to_dict(), allow_nan=False)
        for entry in (
            compare(first, second, resample_by, seed=3),
            compare(first.select(order), second, resample_by, seed=3),
            compare(first, second, resample_by, seed=4),
        )
    ]
    assert texts[0] == texts[1]
    # A t interval draws nothing.
    assert (texts[0] == texts[2]) == (resample_by == "speakers")


def test_no_difference_is_seldom_taken_for_one() -> None:
    # 95% intervals: about 5 of 100 pairs of equal models; more than 12 has odds below 1 in 300.
    found = sum(
        compare(random_model(0.6, 2 * i), random_model(0.6, 2 * i + 1)).better is not None
        for i in range(100)
    )
    assert found <= 12


def test_other_clips_are_refused_and_named() -> None:
    model = random_model(0.6, 1)
    with pytest.raises(
        ProtocolError, match=r"A and B were .*: 2 only in A \(the first: clip 000 of fold 00\);"
    ):
        compare(model, model.select(np.arange(len(model)) % 200 > 1))
    other = change(model, clips=np.array(["zzz", *model.clips[1:]]))
    with pytest.raises(ProtocolError, match=r"1 only in A .*; 1 only in B .*clip zzz of fold 00"):
        compare(model, other)


def test_the_same_clips_in_other_folds_are_refused() -> None:
    model = random_model(0.6, 1)
    other = change(model, folds=np.array(["04", *model.folds[1:]]))
    with pytest.raises(ProtocolError, match="on the same clips in the same folds: 1 only in A"):
        compare(model, other)


def test_other_labels_speakers_or_truths_are_refused() -> None:
    model = random_model(0.6, 1)
    with pytest.raises(ProtocolError, match="A has the labels calm, angry and B angry, calm"):
        compare(model, change(model, labels=("angry", "calm")))
    with pytest.raises(ProtocolError, match=r"the speaker of clip 000 \(1 in all\)"):
        compare(model, change(model, speakers=np.array(["99", *model.speakers[1:]])))
    with pytest.raises(ProtocolError, match=r"the true emotion of clip 000 \(200 in all\)"):
        compare(model, change(model, true=1 - model.true))
