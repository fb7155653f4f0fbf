import json

import numpy as np
import numpy.typing as npt
import pytest

from emovox.errors import ProtocolError
from emovox.evaluation.compare import Comparison, compare_predictions
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
    assert comparison.verdict.startswith(
        "The data do not show either to be better: +0.0 points WA for A against B "
        "(95% interval +0.0 to +0.0, paired over "
    )


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


@pytest.mark.parametrize(
    ("resample_by", "units"),
    [
        ("speakers", "10 speakers"),
        ("splits", "5 splits of the same clips"),
        ("clips", "200 clips"),
    ],
)
def test_the_better_model_is_named_in_either_order(resample_by: ResampleBy, units: str) -> None:
    good, bad = random_model(0.9, 1), random_model(0.4, 2)
    ahead, behind = compare(good, bad, resample_by), compare(bad, good, resample_by)
    assert (ahead.better, behind.better) == ("A", "B")
    wa = ahead.wa
    assert ahead.verdict == (
        f"The data show that A is better: +{100 * wa.value:.1f} points WA (95% interval "
        f"+{100 * wa.interval.low:.1f} to +{100 * wa.interval.high:.1f}, paired over {units})"
    )
    assert behind.verdict == ahead.verdict.replace("A is", "B is")
    assert behind.wa.value == pytest.approx(-wa.value)
    assert ahead.n_units == int(units.split()[0])


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
    assert "points WA for vanilla against optimized (95% interval -" in comparison.verdict


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
    assert corrected.verdict.endswith("paired over 5 splits, corrected for their overlap)")


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
    assert texts[0] != texts[2]


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
    with pytest.raises(ProtocolError, match="A knows the labels calm, angry and B angry, calm"):
        compare(model, change(model, labels=("angry", "calm")))
    with pytest.raises(ProtocolError, match=r"the speaker of clip 000 \(1 in all\)"):
        compare(model, change(model, speakers=np.array(["99", *model.speakers[1:]])))
    with pytest.raises(ProtocolError, match=r"the true emotion of clip 000 \(200 in all\)"):
        compare(model, change(model, true=1 - model.true))
