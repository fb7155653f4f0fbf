import json

import numpy as np
import pytest

from emovox.evaluation.compare import compare_predictions
from emovox.evaluation.over_corpora import (
    choose_four_classes,
    list_labels,
    score_over_corpora,
)
from emovox.evaluation.predictions import Predictions, restrict_labels
from emovox.evaluation.resampling import interval_over_speakers
from emovox.evaluation.summary import summarize
from emovox.evaluation.t_intervals import measure_speaker_variance, t_intervals

LABELS = ("neutral", "happy", "sad", "angry", "disgust")
TESTED = {"a": (0, 1, 2, 3), "b": (1, 2, 3, 4), "c": (3, 4)}
"""Labels of each corpus; the last one has one of the four classes only."""


def make_predictions(seed: int, skill: float = 1.0, n_speakers: int = 5) -> Predictions:
    """Return random predictions over three corpora of different sizes."""
    generator = np.random.default_rng(seed)
    rows: list[tuple[str, str, str, int]] = []
    for size, (corpus, classes) in enumerate(TESTED.items(), 2):
        for speaker in range(n_speakers):
            for number in range(6 * size):
                true = classes[number % len(classes)]
                rows.append((f"{corpus}{speaker}-{number}", corpus, f"{corpus}{speaker}", true))
    clips, folds, speakers, truths = zip(*rows, strict=True)
    scores = generator.normal(size=(len(rows), len(LABELS)))
    scores[np.arange(len(rows)), truths] += skill
    for row, corpus in enumerate(folds):
        scores[row, [i for i in range(len(LABELS)) if i not in TESTED[corpus]]] = -np.inf
    weights = np.exp(scores)
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    genders = [""] * len(rows)
    return Predictions(clips, folds, speakers, genders, truths, probabilities, LABELS)  # type: ignore[arg-type]


def measure_uar(predictions: Predictions) -> float:
    """Return UAR by its definition."""
    hits = predictions.true == predictions.predicted
    return float(np.mean([hits[predictions.true == i].mean() for i in set(predictions.true)]))


def test_each_corpus_is_scored_by_itself_and_the_mean_is_over_corpora() -> None:
    predictions = make_predictions(0)
    found = score_over_corpora([predictions], np.random.default_rng(0))
    assert [entry.corpus for entry in found.corpora] == ["a", "b", "c"]
    uars = []
    for entry in found.corpora:
        own = predictions.select(predictions.folds == entry.corpus)
        uars.append(measure_uar(own))
        assert entry.labels == list_labels(own) == tuple(LABELS[i] for i in TESTED[entry.corpus])
        assert entry.summary.ua.value == pytest.approx(uars[-1])
        assert (entry.summary.n_clips, entry.summary.n_speakers) == (len(own), 5)
        # The same as of these clips over these labels alone.
        alone = summarize(restrict_labels(own, entry.labels), "speakers", np.random.default_rng(0))
        assert alone.ua.interval.low == pytest.approx(entry.summary.ua.interval.low)
        assert entry.summary.interval_name == "t interval over 5 speakers"
    assert found.mean.ua.value == pytest.approx(np.mean(uars))
    assert found.mean.ua.folds == pytest.approx(tuple(uars))
    assert found.mean.interval_name == "t interval over speakers within 3 corpora"
    errors = [entry.calibration_error for entry in found.corpora]
    assert found.calibration_error == pytest.approx(np.mean(errors))
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_interval_of_the_mean_adds_the_variances_of_the_corpora() -> None:
    predictions = make_predictions(1)
    found = score_over_corpora([predictions], np.random.default_rng(0)).mean.wa
    variances, values = [], []
    for corpus in "abc":
        own = predictions.select(predictions.folds == corpus)
        hits = (own.true == own.predicted).astype(np.int64)
        share = lambda counts: counts[None, :, 1] / counts.sum(axis=1)  # noqa: E731
        variances.append(measure_speaker_variance(hits, own.speakers, share))
        values.append(hits.mean())
    total = sum(float(v.values[0]) for v in variances) / 9
    freedom = total**2 / sum((float(v.values[0]) / 9) ** 2 / v.freedom for v in variances)
    half = t_intervals(
        np.array([0.5]),
        [type(variances[0])(np.array([total]), freedom)],  # type: ignore[arg-type]
    )[0]
    assert found.value == pytest.approx(np.mean(values))
    assert found.interval.high - found.value == pytest.approx(half.high - 0.5)
    assert found.value - found.interval.low == pytest.approx(half.high - 0.5)


def test_speakers_vary_within_corpora_but_corpora_do_not() -> None:
    # Corpora that differ a lot, whose speakers do not differ at all: the mean is still certain.
    clips = [f"{corpus}{s}{n}" for corpus in "ab" for s in range(4) for n in range(40)]
    right = [corpus == "a" for corpus in "ab" for _ in range(160)]
    true = np.arange(320) % 2
    predicted = np.where(right, true, 0)  # all right in a, half of the clips in b
    found = Predictions(
        clips,  # type: ignore[arg-type]
        [clip[0] for clip in clips],  # type: ignore[arg-type]
        [clip[:2] for clip in clips],  # type: ignore[arg-type]
        [""] * 320,  # type: ignore[arg-type]
        true,
        np.eye(2)[predicted],
        ("happy", "sad"),
    )
    summary = score_over_corpora([found], np.random.default_rng(0)).mean
    assert summary.ua.value == 0.75
    assert summary.ua.interval.low > 0.7
    pooled = interval_over_speakers(
        (found.true == found.predicted).astype(np.int64),
        found.speakers,
        lambda counts: counts[None, :, 1] / counts.sum(axis=1),
        np.random.default_rng(0),
    )[0]
    assert pooled.low < 0.6


def test_four_classes_leave_out_other_labels_and_corpora_without_two() -> None:
    predictions = make_predictions(2)
    four = choose_four_classes(predictions)
    assert four is not None
    assert four.labels == LABELS[:4]
    assert set(four.folds.tolist()) == {"a", "b"}
    n_bored = 5 * 18 // 4  # a fifth label is a quarter of the clips of b
    assert abs(len(four) - (5 * 12 + 5 * 18 - n_bored)) <= 5
    assert four.probabilities[four.folds == "b", 0].max() == 0
    found = score_over_corpora([predictions], np.random.default_rng(0))
    assert [entry.four_labels for entry in found.corpora] == [LABELS[:4], LABELS[1:4], ("angry",)]
    assert found.corpora[2].four is None
    assert found.four is not None
    values = [measure_uar(four.select(four.folds == corpus)) for corpus in "ab"]
    assert found.four.ua.value == pytest.approx(np.mean(values))
    lines = found.describe()
    assert len({len(line) for line in lines[:5]}) == 1
    assert lines[3].split()[-2:] == ["-", f"{found.corpora[2].calibration_error:.3f}"]
    assert lines[-1].endswith("; b has happy, sad, angry; c has angry")
    alone = predictions.select(predictions.folds == "c")
    assert choose_four_classes(alone) is None
    assert score_over_corpora([alone], np.random.default_rng(0)).four is None


def test_seeds_are_averaged_and_widen_the_interval() -> None:
    seeds = [make_predictions(seed) for seed in (3, 4, 5)]
    found = score_over_corpora(seeds, np.random.default_rng(0))
    single = [score_over_corpora([seed], np.random.default_rng(0)) for seed in seeds]
    assert found.n_seeds == 3
    assert found.mean.ua.value == pytest.approx(np.mean([one.mean.ua.value for one in single]))
    for index, entry in enumerate(found.corpora):
        assert entry.summary.ua.value == pytest.approx(
            np.mean([one.corpora[index].summary.ua.value for one in single])
        )
        assert entry.calibration_error == pytest.approx(
            np.mean([one.corpora[index].calibration_error for one in single])
        )
    name = "t interval over 3 seeds and speakers within 3 corpora"
    assert found.mean.interval_name == name
    assert "within each corpus and 3 seeds" in found.describe()[-2]


def test_a_corpus_of_one_speaker_is_resampled_by_clips() -> None:
    found = score_over_corpora([make_predictions(6, n_speakers=1)], np.random.default_rng(0))
    assert {entry.summary.resample_by for entry in found.corpora} == {"clips"}
    assert found.mean.ua.interval.low < found.mean.ua.value < found.mean.ua.interval.high


def test_models_are_compared_by_uar_over_the_same_speakers() -> None:
    good, bad = make_predictions(7, skill=3.0), make_predictions(8, skill=0.5)
    ahead = compare_predictions(good, bad, "corpora", np.random.default_rng(0), names=("A", "B"))
    means = [score_over_corpora([side], np.random.default_rng(0)).mean for side in (good, bad)]
    assert ahead.ua.value == pytest.approx(means[0].ua.value - means[1].ua.value)
    assert ahead.decisive is ahead.ua
    assert ahead.better == "A"
    assert f"{100 * ahead.ua.value:+.1f} points UA (95% t interval" in ahead.verdict
    assert "paired over the speakers within 3 corpora)" in ahead.verdict
    assert ahead.to_dict()["ua_of_seeds"] == [[means[0].ua.value], [means[1].ua.value]]
    same = compare_predictions(good, good, "corpora", np.random.default_rng(0))
    assert (same.ua.interval.low, same.ua.interval.high) == (0, 0)
    seeds = [make_predictions(seed, skill=1.0) for seed in (9, 10)]
    others = [make_predictions(seed, skill=1.0) for seed in (11, 12)]
    several = compare_predictions(seeds, others, "corpora", np.random.default_rng(0))
    assert several.better is None
    assert "the speakers within 3 corpora and taken over 2 seeds each" in several.verdict
