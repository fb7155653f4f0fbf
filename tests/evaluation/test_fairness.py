"""Scores by gender and their gap: values by hand, intervals against theory."""

import json

import numpy as np
import pytest
import scipy.stats

from emovox.evaluation.fairness import compare_genders, compare_genders_of_seeds
from emovox.evaluation.predictions import Predictions

LABELS = ("calm", "sad")


def make(rows: list[tuple[str, str, int, int]]) -> Predictions:
    """Return predictions of (speaker, gender, true, predicted)."""
    speakers, genders, true, predicted = zip(*rows, strict=True)
    return Predictions(
        clips=np.array([f"clip {i}" for i in range(len(rows))]),
        folds=np.array(["01"] * len(rows)),
        speakers=np.array(speakers),
        genders=np.array(genders),
        true=np.array(true),
        probabilities=np.eye(2)[list(predicted)],
        labels=LABELS,
    )


def make_group(
    gender: str, n_speakers: int, outcomes: list[tuple[int, int]]
) -> list[tuple[str, str, int, int]]:
    return [
        (f"{gender}{i}", gender, true, predicted)
        for i in range(n_speakers)
        for true, predicted in outcomes
    ]


def test_scores_and_gap_are_those_worked_out_by_hand() -> None:
    women = make_group("female", 3, [(0, 0), (0, 0), (0, 1), (1, 1)])
    men = make_group("male", 4, [(0, 0), (1, 0), (1, 1), (1, 1), (1, 1)])
    fairness = compare_genders(make([*women, *men]), np.random.default_rng(0))
    assert fairness is not None
    assert (fairness.n_female, fairness.n_male) == (3, 4)
    assert (fairness.wa.female, fairness.wa.male) == (0.75, 0.8)
    assert fairness.wa.difference == pytest.approx(-0.05)
    # Mean recalls: of women (2/3 + 1) / 2, of men (1 + 3/4) / 2.
    assert fairness.ua.female == pytest.approx(5 / 6)
    assert fairness.ua.male == pytest.approx(7 / 8)
    for gap in fairness.gaps:
        assert gap.interval is not None
        assert gap.interval.low < gap.difference < gap.interval.high
        assert gap.verdict == "these speakers do not show a difference"


def test_what_is_certain_has_no_width() -> None:
    women = make_group("female", 3, [(0, 0), (1, 1)])
    men = make_group("male", 3, [(0, 1), (1, 0)])
    fairness = compare_genders(make([*women, *men]), np.random.default_rng(0))
    assert fairness is not None
    for gap in fairness.gaps:
        assert gap.interval is not None
        assert (gap.interval.low, gap.interval.high) == (1, 1)
        assert gap.verdict == "these speakers show a difference"


def test_the_interval_is_as_wide_as_theory_says() -> None:
    """Speakers who are always right or always wrong: two binomials over speakers."""
    rows = []
    for gender, share, n_speakers in (("female", 0.8, 400), ("male", 0.5, 200)):
        for i in range(n_speakers):
            right = i < share * n_speakers
            rows += [(f"{gender}{i}", gender, t, t if right else 1 - t) for t in (0, 1)]
    fairness = compare_genders(make(rows), np.random.default_rng(0))
    assert fairness is not None
    interval = fairness.wa.interval
    assert interval is not None
    # The clips of a drawn speaker are alike, so only the speakers vary.
    error = np.sqrt(0.8 * 0.2 / 400 + 0.5 * 0.5 / 200)
    assert (interval.high - interval.low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.06)
    assert (interval.high + interval.low) / 2 == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize(("n_women", "n_men"), [(2, 12), (12, 2), (1, 1)])
def test_too_few_speakers_give_no_interval(n_women: int, n_men: int) -> None:
    women = make_group("female", n_women, [(0, 0), (1, 0)])
    men = make_group("male", n_men, [(0, 0), (1, 1)])
    fairness = compare_genders(make([*women, *men]), np.random.default_rng(0))
    assert fairness is not None
    assert fairness.wa.difference == -0.5
    assert fairness.wa.interval is None
    assert fairness.wa.female_interval is None
    assert "too few speakers" in fairness.describe()[0]


def test_one_gender_gives_no_gap() -> None:
    rows = make_group("male", 4, [(0, 0)]) + make_group("", 4, [(0, 0)])
    assert compare_genders(make(rows), np.random.default_rng(0)) is None


def test_seeds_give_the_mean_of_their_scores_and_gaps() -> None:
    outcomes = [(0, 0), (0, 1), (1, 1), (1, 1)]
    rows = make_group("female", 4, outcomes) + make_group("male", 5, outcomes)
    said = np.random.default_rng(1).integers(2, size=(2, len(rows))).tolist()
    seeds = [make(rows)]
    for of_seed in said:
        answers = zip(rows, of_seed, strict=True)
        seeds.append(make([(*row[:3], predicted) for row, predicted in answers]))
    alone = [compare_genders(seed, np.random.default_rng(0)) for seed in seeds]
    # In another order too: clips are paired by name.
    shuffled = seeds[1].select(np.arange(len(rows))[::-1])
    mean = compare_genders_of_seeds([seeds[0], shuffled, seeds[2]], np.random.default_rng(0))
    assert mean is not None
    assert (mean.n_female, mean.n_male) == (4, 5)
    for i, gap in enumerate(mean.gaps):
        found = [fairness.gaps[i] for fairness in alone if fairness is not None]
        assert len({one.difference for one in found}) == 3
        assert gap.female == pytest.approx(np.mean([one.female for one in found]))
        assert gap.male == pytest.approx(np.mean([one.male for one in found]))
        assert gap.interval is not None
        assert gap.interval.low < gap.difference < gap.interval.high
    once, thrice = (
        compare_genders_of_seeds([seeds[1]] * n, np.random.default_rng(0)) for n in (1, 3)
    )
    assert once is not None
    assert thrice is not None
    assert thrice.wa.difference == pytest.approx(once.wa.difference)
    assert thrice.wa.interval is not None
    assert once.wa.interval is not None
    assert thrice.wa.interval.low == pytest.approx(once.wa.interval.low)
    assert thrice.wa.interval.high == pytest.approx(once.wa.interval.high)


def test_seeds_that_tested_other_speakers_are_refused() -> None:
    rows = make_group("female", 3, [(0, 0)]) + make_group("male", 3, [(0, 0)])
    other = make_group("female", 3, [(0, 0)]) + make_group("male", 3, [(0, 0)])[::-1]
    with pytest.raises(ValueError, match="seeds that tested different clips"):
        compare_genders_of_seeds([make(rows), make(other)], np.random.default_rng(0))


def test_speakers_of_no_known_gender_are_left_out() -> None:
    rows = make_group("female", 3, [(0, 0), (1, 0)]) + make_group("male", 3, [(0, 0), (1, 1)])
    known = compare_genders(make(rows), np.random.default_rng(0))
    mixed = make(rows + make_group("", 5, [(0, 1)]))
    found = compare_genders(mixed, np.random.default_rng(0))
    assert known is not None
    assert found is not None
    assert (found.wa.difference, found.n_female, found.n_male) == (-0.5, 3, 3)


def test_the_same_seed_gives_the_same_bytes_in_any_order_of_clips() -> None:
    rows = make_group("female", 5, [(0, 0), (1, 0), (1, 1)])
    rows += make_group("male", 4, [(0, 0), (1, 1), (0, 1)])
    first = compare_genders(make(rows), np.random.default_rng(3))
    second = compare_genders(make(rows[::-1]), np.random.default_rng(3))
    assert first == second
    assert first is not None
    assert json.loads(json.dumps(first.to_dict()))["WA"]["interval"]["level"] == 0.95


def test_the_printed_line_says_what_it_rests_on() -> None:
    rows = make_group("female", 3, [(0, 0), (1, 1)]) + make_group("male", 3, [(0, 1), (1, 0)])
    fairness = compare_genders(make(rows), np.random.default_rng(0))
    assert fairness is not None
    assert fairness.describe()[0] == (
        "WA of women (3) 100.0, of men (3) 0.0: +100.0 points (95% t interval over speakers within "
        "gender: +100.0 to +100.0); these speakers show a difference"
    )


def test_few_speakers_of_a_gender_get_welchs_interval() -> None:
    """Accuracies of women 0.2, 0.5, 0.8 and of men 0.3, 0.6, 0.7 and 0.9, ten clips each."""
    tenths = {"female": (2, 5, 8), "male": (3, 6, 7, 9)}
    rows = [
        (f"{gender}{speaker}", gender, clip % 2, clip % 2 if clip < n else 1 - clip % 2)
        for gender, of_gender in tenths.items()
        for speaker, n in enumerate(of_gender)
        for clip in range(10)
    ]
    fairness = compare_genders(make(rows), np.random.default_rng(0))
    assert fairness is not None
    female, male = (np.array(values) / 10 for values in tenths.values())
    gap = fairness.wa
    assert gap.difference == pytest.approx(-0.125)
    assert gap.interval is not None
    expected = scipy.stats.ttest_ind(female, male, equal_var=False).confidence_interval(0.95)
    assert (gap.interval.low, gap.interval.high) == pytest.approx((expected.low, expected.high))
    assert gap.female_interval is not None
    # t(2) is 4.302653, past either end; t(3) is 3.182446.
    assert (gap.female_interval.low, gap.female_interval.high) == (0, 1)
    assert gap.male_interval is not None
    assert gap.male_interval.low == pytest.approx(0.625 - 3.182446 * male.std(ddof=1) / 2, abs=1e-6)


def test_fifteen_speakers_of_each_are_bootstrapped() -> None:
    outcomes = [(0, 0), (0, 1), (1, 1), (1, 1)]
    rows = make_group("female", 15, outcomes) + make_group("male", 15, outcomes)
    fairness = compare_genders(make(rows), np.random.default_rng(0))
    assert fairness is not None
    assert fairness.interval_name == "interval over speakers within gender"
    fewer = compare_genders(make(rows[4:]), np.random.default_rng(0))
    assert fewer is not None
    assert fewer.interval_name == "t interval over speakers within gender"
