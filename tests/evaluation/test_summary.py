import json
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from emovox.evaluation.intervals import Interval
from emovox.evaluation.metrics import compute_metrics
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.summary import (
    ResampleBy,
    Score,
    Summary,
    choose_resampling,
    describe_basis,
    describe_score,
    score_folds,
    summarize,
    summarize_seeds,
)

LABELS = ("calm", "happy", "angry")


def make(
    folds: list[str], speakers: list[str], clips: list[str] | None = None, seed: int = 0
) -> Predictions:
    generator = np.random.default_rng(seed)
    n = len(folds)
    true = generator.integers(len(LABELS), size=n)
    alpha: npt.NDArray[np.float64] = 0.5 + 1.5 * np.eye(len(LABELS))[true]
    return Predictions(
        clips=np.array(clips or [f"{i:04d}" for i in range(n)]),
        folds=np.array(folds),
        speakers=np.array(speakers),
        genders=np.array([""] * n),
        true=true,
        probabilities=np.array([generator.dirichlet(row) for row in alpha]),
        labels=LABELS,
    )


def make_folds(n_folds: int = 3, n_speakers: int = 12, n_clips: int = 30) -> Predictions:
    """Return folds that part the speakers: speaker-independent, each clip once."""
    speakers = np.repeat(np.arange(n_speakers), n_clips)
    return make([f"{i % n_folds:02d}" for i in speakers], [f"{i:02d}" for i in speakers])


def make_splits(n_splits: int = 20, n_clips: int = 36) -> Predictions:
    """Return repeated random splits of 100 clips of four speakers."""
    generator = np.random.default_rng(5)
    drawn = np.concatenate([generator.permutation(100)[:n_clips] for _ in range(n_splits)])
    return make(
        [f"{42 + i // n_clips}" for i in range(drawn.size)],
        [f"{i % 4}" for i in drawn],
        [f"{i:03d}" for i in drawn],
    )


def test_folds_are_pooled_over_all_clips() -> None:
    predictions = make_folds()
    summary = summarize(predictions, "speakers", np.random.default_rng(0))
    metrics = compute_metrics(predictions.true, predictions.probabilities, LABELS)
    assert summary.wa.value == pytest.approx(metrics.accuracy)
    assert summary.ua.value == pytest.approx(metrics.uar)
    assert summary.f1.value == pytest.approx(metrics.macro_f1)
    assert (summary.n_clips, summary.n_speakers, summary.n_folds) == (360, 12, 3)
    assert summary.folds == ("00", "01", "02")
    for score in summary.scores:
        assert 0 < score.interval.low < score.value < score.interval.high < 1


def test_each_fold_is_scored_by_itself() -> None:
    predictions = make_folds()
    of_folds = score_folds(predictions)
    assert of_folds.shape == (3, 3)
    for fold, name in enumerate(["00", "01", "02"]):
        part = predictions.select(predictions.folds == name)
        metrics = compute_metrics(part.true, part.probabilities, LABELS)
        assert of_folds[:, fold] == pytest.approx([metrics.accuracy, metrics.uar, metrics.macro_f1])
    summary = summarize(predictions, "clips", np.random.default_rng(0))
    assert summary.ua.folds == tuple(of_folds[1].tolist())


def test_splits_are_scored_one_by_one_and_averaged() -> None:
    predictions = make_splits()
    summary = summarize(predictions, "splits", np.random.default_rng(0))
    of_folds = score_folds(predictions)
    assert summary.wa.value == pytest.approx(of_folds[0].mean())
    assert summary.f1.value == pytest.approx(of_folds[2].mean())
    error = of_folds[0].std() / np.sqrt(20)
    assert summary.wa.interval.low == pytest.approx(summary.wa.value - 1.96 * error, abs=error / 4)
    assert (summary.n_folds, summary.n_clips, summary.n_speakers) == (20, 100, 4)


@pytest.mark.parametrize("resample_by", ["speakers", "clips"])
def test_clips_tested_twice_are_not_resampled_as_if_they_were_others(
    resample_by: ResampleBy,
) -> None:
    with pytest.raises(ValueError, match="found 720 tests of 100 clips; .*resample splits"):
        summarize(make_splits(), resample_by, np.random.default_rng(0))


def test_one_split_cannot_be_resampled_over_splits() -> None:
    with pytest.raises(ValueError, match="resample clips where there is one split"):
        summarize(make_splits(n_splits=1), "splits", np.random.default_rng(0))


def test_a_perfect_model_has_no_interval_to_speak_of() -> None:
    base = make_folds()
    perfect = Predictions(
        base.clips, base.folds, base.speakers, base.genders, base.true,
        np.eye(3)[base.true], LABELS,
    )  # fmt: skip
    for score in summarize(perfect, "speakers", np.random.default_rng(0)).scores:
        assert (score.value, score.interval) == (1.0, Interval(1.0, 1.0))


@pytest.mark.parametrize("resample_by", ["speakers", "splits", "clips"])
def test_the_same_seed_gives_the_same_bytes_in_any_order(resample_by: ResampleBy) -> None:
    predictions = make_folds(n_folds=12, n_speakers=15)
    order = np.random.default_rng(1).permutation(len(predictions))
    first, second, other = (
        json.dumps(
            summarize(entry, resample_by, np.random.default_rng(seed)).to_dict(), allow_nan=False
        )
        for entry, seed in ((predictions, 3), (predictions.select(order), 3), (predictions, 4))
    )
    assert first == second
    assert first != other


@pytest.mark.parametrize(
    ("predictions", "speaker_independent", "expected"),
    [
        (make_folds(), True, "speakers"),
        (make_folds(n_speakers=4), True, "speakers"),
        (make_folds(), False, "speakers"),
        (make_folds(n_speakers=1), True, "clips"),
        (make_splits(n_splits=1), False, "clips"),
        (make_splits(), False, "splits"),
    ],
    ids=["emobox-6", "one fold", "random-10", "one speaker", "reference", "reference-repeated"],
)
def test_what_is_resampled_follows_from_the_protocol(
    predictions: Predictions, speaker_independent: bool, expected: ResampleBy
) -> None:
    assert choose_resampling(predictions, speaker_independent=speaker_independent) == expected


def summary_of(values: tuple[float, ...], resample_by: ResampleBy, n_speakers: int = 4) -> Summary:
    score = Score("WA", 2 / 3, Interval(0.512, 0.801), values)
    folds = tuple(str(i) for i in range(len(values)))
    return Summary(score, score, score, folds, 1440, n_speakers, resample_by)


def test_a_score_is_printed_with_what_it_rests_on() -> None:
    line = describe_score(
        summary_of((2 / 3,), "clips"),
        "WA",
        protocol="reference",
        version=1,
        speaker_independent=False,
        n_seeds=1,
    )
    assert line == (
        "WA 66.7 (95% interval 51.2 to 80.1), reference v1, speaker-dependent, 1 seed, "
        "1,440 clips of 4 speakers"
    )


def test_repeated_splits_are_printed_with_their_range() -> None:
    line = describe_score(
        summary_of((0.611, 0.75, 0.7), "splits"),
        "UA",
        protocol="reference-repeated",
        version=2,
        speaker_independent=False,
        n_seeds=3,
    )
    assert line == (
        "UA 66.7 (95% interval 51.2 to 80.1), mean of 3 splits (61.1 to 75.0), "
        "reference-repeated v2, speaker-dependent, 3 seeds, 1,440 clips of 4 speakers"
    )


def test_speaker_independence_is_said_too() -> None:
    line = describe_score(
        summary_of((0.6, 0.7), "speakers", n_speakers=24),
        "F1",
        protocol="emobox-6",
        version=1,
        speaker_independent=True,
        n_seeds=1,
    )
    assert line.startswith("F1 66.7 (95% interval 51.2 to 80.1), emobox-6 v1, speaker-independent,")


def test_a_t_interval_over_few_speakers_is_named() -> None:
    line = describe_score(
        summary_of((0.6, 0.7), "speakers", n_speakers=9),
        "UA",
        protocol="loso",
        version=1,
        speaker_independent=True,
        n_seeds=1,
    )
    assert line.startswith("UA 66.7 (95% t interval over 9 speakers: 51.2 to 80.1), loso v1, ")
    basis = describe_basis(summary_of((0.6,), "speakers", n_speakers=9), "loso v1")
    assert basis == (
        "loso v1: 1 fold, 1 seed, 1,440 clips of 9 speakers; percent, 95% t intervals over 9 "
        "speakers"
    )
    many = describe_basis(summary_of((0.6,), "speakers", n_speakers=15), "loso v1", n_seeds=3)
    assert many.endswith(
        "1 fold, 3 seeds, 1,440 clips of 15 speakers; percent, 95% intervals over speakers"
    )


def test_few_speakers_get_the_t_interval_of_their_mean() -> None:
    # Three speakers of 12 clips: 6, 9 and 12 right. Mean 3/4, deviation 1/4, t(2) 4.302653.
    base = make_folds(n_speakers=3, n_clips=12)
    right = np.concatenate([np.arange(12) < n for n in (6, 9, 12)])
    said = np.where(right, base.true, (base.true + 1) % 3)
    predictions = replace(base, probabilities=np.eye(3)[said])
    summary = summarize(predictions, "speakers", np.random.default_rng(0))
    assert summary.interval_name == "t interval over 3 speakers"
    half = 4.302653 * 0.25 / np.sqrt(3)
    assert summary.wa.interval.low == pytest.approx(0.75 - half, abs=1e-6)
    assert summary.wa.interval.high == 1
    assert summary.to_dict()["interval"] == "t interval over 3 speakers"


def test_seeds_can_be_resampled_with_the_clips() -> None:
    predictions = make_folds(n_speakers=24)
    seeds = [predictions, guess_again(predictions, 1), guess_again(predictions, 2)]
    fixed, drawn = (
        summarize_seeds(seeds, "clips", np.random.default_rng(0), resample_seeds=resample_seeds)
        for resample_seeds in (False, True)
    )
    assert drawn.wa.value == fixed.wa.value
    assert drawn.wa.interval.low < fixed.wa.interval.low
    assert drawn.wa.interval.high > fixed.wa.interval.high
    assert drawn.interval_name == "t interval over 3 seeds and 720 clips"
    assert fixed.interval_name == "interval over clips"
    alone = summarize_seeds([predictions], "clips", np.random.default_rng(0), resample_seeds=True)
    assert alone == summarize(predictions, "clips", np.random.default_rng(0))


def test_the_bootstrap_costs_a_moment() -> None:
    # 0.07 s where it was written; a loop over draws takes more than a minute.
    predictions = make_folds(n_folds=6, n_speakers=24, n_clips=60)
    start_s = time.process_time()
    summarize(predictions, "speakers", np.random.default_rng(0))
    assert time.process_time() - start_s < 5


def guess_again(predictions: Predictions, seed: int) -> Predictions:
    """Return another seed's answers to the same clips."""
    rows = np.random.default_rng(seed).permutation(len(predictions))
    return replace(predictions, probabilities=predictions.probabilities[rows])


@pytest.mark.parametrize("resample_by", ["speakers", "clips"])
def test_one_seed_is_summarized_as_it_was(resample_by: ResampleBy) -> None:
    predictions = make_folds()
    rows = np.random.default_rng(1).permutation(len(predictions))
    found = summarize_seeds([predictions.select(rows)], resample_by, np.random.default_rng(0))
    assert found == summarize(predictions, resample_by, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("resample_by", "kind"), [("speakers", make_folds), ("splits", make_splits)]
)
def test_seeds_give_the_mean_of_their_scores(
    resample_by: ResampleBy, kind: Callable[[], Predictions]
) -> None:
    first = kind()
    seeds = [first, guess_again(first, 1), guess_again(first, 2)]
    alone = [summarize(part, resample_by, np.random.default_rng(0)) for part in seeds]
    # In another order too: clips are paired by name.
    shuffled = seeds[1].select(np.random.default_rng(3).permutation(len(first)))
    mean = summarize_seeds([first, shuffled, seeds[2]], resample_by, np.random.default_rng(0))
    assert len({summary.wa.value for summary in alone}) == 3
    for index, score in enumerate(mean.scores):
        expected = np.mean([summary.scores[index].value for summary in alone])
        assert score.value == pytest.approx(float(expected), abs=1e-12)
        assert score.interval.low < score.value < score.interval.high
        folds = np.mean([summary.scores[index].folds for summary in alone], axis=0)
        assert score.folds == pytest.approx(folds.tolist(), abs=1e-12)


def test_the_same_answers_thrice_are_no_surer_than_once() -> None:
    predictions = make_folds()
    once = summarize(predictions, "speakers", np.random.default_rng(0))
    thrice = summarize_seeds([predictions] * 3, "speakers", np.random.default_rng(0))
    for a, b in zip(once.scores, thrice.scores, strict=True):
        assert (b.interval.low, b.interval.high) == pytest.approx((a.interval.low, a.interval.high))


def test_seeds_that_tested_other_clips_are_refused() -> None:
    predictions = make_folds()
    other = predictions.select(np.arange(len(predictions) - 1))
    with pytest.raises(ValueError, match="seeds that tested different clips"):
        summarize_seeds([predictions, other], "speakers", np.random.default_rng(0))
