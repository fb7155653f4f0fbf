"""Scores of perturbed recordings, worked out by hand, and the file that keeps them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emovox.errors import RunError
from emovox.evaluation.stress_scores import (
    NO_SPEECH,
    PerturbedPredictions,
    Result,
    judge_test,
    make_outcome_score,
    score_stress,
)
from emovox.perturbations.catalogue import find_tests
from emovox.runs.stress import format_stress, read_stress

TESTS = find_tests(["clip", "low-quality phone", "babble 20 dB", "speed 0.9"])


def make_predictions(*perturbed: list[int]) -> PerturbedPredictions:
    """Return eight clips of two speakers and two classes, of which plain six are right."""
    return PerturbedPredictions(
        speakers=np.array(list("aaaabbbb")),
        true=np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        plain=np.array([0, 0, 1, 0, 0, 1, 1, 1]),
        perturbed={test.name: np.array(perturbed) for test in TESTS},
    )


def repeat_speakers(few: PerturbedPredictions, n_times: int) -> PerturbedPredictions:
    """Return the same predictions for so many times as many speakers, enough for a bootstrap."""
    return PerturbedPredictions(
        speakers=np.concatenate([np.char.add(few.speakers, f"{i}") for i in range(n_times)]),
        true=np.tile(few.true, n_times),
        plain=np.tile(few.plain, n_times),
        perturbed={name: np.tile(draws, (1, n_times)) for name, draws in few.perturbed.items()},
    )


def test_scores_are_those_worked_out_by_hand() -> None:
    # Changed are the third, the fourth and the last clip; the fourth becomes right by that.
    predictions = make_predictions([0, 0, 0, 1, 0, 1, 1, 0])
    row = score_stress([predictions], TESTS, of_clips=100, seed=7)[0]
    assert row.test == "clip"
    assert row.unchanged == 5 / 8
    assert row.plain_uar == 6 / 8
    assert row.uar == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert row.uar_change == pytest.approx(-1 / 8)
    assert (row.clips, row.of_clips, row.speakers, row.seed) == (8, 100, 2, 7)
    assert row.unchanged_low <= row.unchanged <= row.unchanged_high
    assert row.uar_change_low <= row.uar_change <= row.uar_change_high


def test_what_changes_nothing_has_no_width() -> None:
    predictions = make_predictions([0, 0, 1, 0, 0, 1, 1, 1])
    for row in score_stress([predictions], TESTS, of_clips=8, seed=0):
        assert (row.unchanged, row.unchanged_low, row.unchanged_high) == (1, 1, 1)
        assert (row.uar_change, row.uar_change_low, row.uar_change_high) == (0, 0, 0)
        assert row.result in (Result.PASS, Result.NO_THRESHOLD)


def make_seeds() -> list[PerturbedPredictions]:
    """Return three trainings that predict the same clips differently."""
    first = make_predictions([0, 0, 0, 1, 0, 1, 1, 0])
    second = replace(make_predictions([0, 1, 1, 1, 0, 0, 1, 1]), plain=first.true)
    third = replace(make_predictions([1, 0, 1, 0, 1, 1, 1, 1]), plain=1 - first.plain)
    return [first, second, third]


def test_trainings_give_the_mean_of_their_scores() -> None:
    seeds = make_seeds()
    alone = [score_stress([predictions], TESTS, of_clips=8, seed=0)[0] for predictions in seeds]
    row = score_stress(seeds, TESTS, of_clips=8, seed=0)[0]
    assert row.trainings == 3
    for name in ("unchanged", "uar", "uar_change", "plain_uar"):
        of_seeds = [getattr(one, name) for one in alone]
        assert len(set(of_seeds)) > 1
        assert getattr(row, name) == pytest.approx(np.mean(of_seeds))
    assert row.uar_change_low < row.uar_change < row.uar_change_high
    assert row.interval_name == "t interval over 2 speakers"


def test_the_mean_is_held_against_the_thresholds() -> None:
    predictions = make_predictions([0, 0, 1, 0, 0, 1, 1, 1])
    worse = make_predictions([0, 0, 1, 0, 0, 1, 1, 0])
    # 7 of 8 unchanged fail the 0.95 of "clip"; the mean of 23 of 24 holds it.
    assert score_stress([worse], TESTS, of_clips=8, seed=0)[0].result is Result.FAIL
    row = score_stress([predictions, worse, predictions], TESTS, of_clips=8, seed=0)[0]
    assert row.unchanged == pytest.approx(23 / 24)
    assert row.result is Result.UNSURE  # the interval reaches below
    assert row.unchanged_low < 0.95


def test_the_same_answers_thrice_are_no_surer_than_once() -> None:
    predictions = make_predictions([0, 0, 0, 1, 0, 1, 1, 0])
    (once, *_), (thrice, *_) = (
        score_stress([predictions] * n, TESTS, of_clips=8, seed=0) for n in (1, 3)
    )
    for name in ("unchanged_low", "unchanged_high", "uar_change_low", "uar_change_high"):
        assert getattr(thrice, name) == pytest.approx(getattr(once, name))


def test_trainings_tested_on_other_clips_are_refused() -> None:
    first, second, _ = make_seeds()
    other = replace(second, speakers=second.speakers[::-1])
    with pytest.raises(ValueError, match="seeds tested on different clips"):
        score_stress([first, other], TESTS, of_clips=8, seed=0)


def test_no_speech_is_another_answer_and_a_wrong_one() -> None:
    predictions = make_predictions([NO_SPEECH] * 8)
    row = score_stress([predictions], TESTS, of_clips=8, seed=0)[0]
    assert (row.unchanged, row.uar) == (0, 0)
    assert row.result is Result.FAIL


def test_recall_is_over_the_classes_that_are_there() -> None:
    score = make_outcome_score(np.array([[0, 0, 0], [2, 2, 0]]))
    both, first = score(np.array([[3, 1], [4, 0]])).T
    np.testing.assert_allclose(both, [0.75, 1, 0.5, -0.5])
    np.testing.assert_allclose(first, [1, 1, 1, 0])


def test_one_speaker_has_intervals_over_clips() -> None:
    predictions = make_predictions([0, 0, 0, 1, 0, 1, 1, 0])
    alone = replace(predictions, speakers=np.array(["a"] * 8))
    row = score_stress([alone], TESTS, of_clips=8, seed=0)[0]
    assert row.unchanged_low < row.unchanged < row.unchanged_high


def test_an_interval_does_not_depend_on_the_other_tests() -> None:
    predictions = make_predictions([0, 0, 0, 1, 0, 1, 1, 0])
    alone = score_stress([predictions], TESTS[1:2], of_clips=8, seed=0)
    assert alone[0] == score_stress([predictions], TESTS, of_clips=8, seed=0)[1]


@pytest.mark.parametrize(
    ("name", "unchanged", "change", "result"),
    [
        ("clip", (0.95, 0.95), (-0.5, -0.6), "pass"),
        ("clip", (0.96, 0.949), (0.5, 0.4), "pass?"),
        ("clip", (0.949, 0.94), (0.5, 0.4), "FAIL"),
        ("babble 20 dB", (0.9, 0.85), (-0.03, -0.04), "pass"),
        ("babble 20 dB", (0.85, 0.8), (-0.03, -0.04), "pass?"),
        ("babble 20 dB", (0.9, 0.85), (-0.04, -0.05), "pass?"),
        ("babble 20 dB", (0.84, 0.8), (0.0, 0.0), "FAIL"),
        ("babble 20 dB", (0.9, 0.85), (-0.041, -0.05), "FAIL"),
        ("low-quality phone", (0.0, 0.0), (-0.04, -0.05), "pass"),
        ("low-quality phone", (1.0, 1.0), (-0.06, -0.1), "FAIL"),
        ("speed 0.9", (0.0, 0.0), (-1.0, -1.0), ""),
    ],
)
def test_thresholds(
    name: str, unchanged: tuple[float, float], change: tuple[float, float], result: str
) -> None:
    (test,) = find_tests([name])
    assert judge_test(test, unchanged, change) == result


def test_draws_give_the_mean_of_their_scores() -> None:
    draws = ([0, 0, 0, 1, 0, 1, 1, 0], [0, 0, 1, 0, 0, 1, 1, 1], [1] * 8)
    alone = [score_stress([make_predictions(d)], TESTS, of_clips=8, seed=0)[0] for d in draws]
    row = score_stress([make_predictions(*draws)], TESTS, of_clips=8, seed=0)[0]
    assert (row.draws, row.trainings, alone[0].draws) == (3, 1, 1)
    for name in ("unchanged", "uar", "uar_change", "plain_uar"):
        assert getattr(row, name) == pytest.approx(np.mean([getattr(a, name) for a in alone]))
    # The mean over draws varies less from speaker to speaker than the worst of them.
    widths = []
    for some in (draws, *([d] for d in draws)):
        many = repeat_speakers(make_predictions(*some), 10)
        row = score_stress([many], TESTS, of_clips=80, seed=0)[0]
        widths.append(row.unchanged_high - row.unchanged_low)
    assert widths[0] < max(widths[1:])


def test_the_file_gives_the_same_rows_back(tmp_path: Path) -> None:
    rows = score_stress([make_predictions([0, 0, 0, 1, 0, 1, 1, 0])], TESTS, of_clips=100, seed=7)
    assert {row.result for row in rows} == {"", "FAIL"}
    rows = (replace(rows[0], result=Result.UNSURE), replace(rows[1], result=Result.PASS), *rows[2:])
    path = tmp_path / "stress.csv"
    path.write_text(format_stress(rows))
    assert read_stress(path) == rows


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a,b\n1,2\n", r"line 1: found the columns \['a', 'b'\]"),
        ("", "found the columns None"),
        ("HEADER\n", "found no row after the header"),
        ("test,group,passed\nclip,small,True\n", "found the columns .*run 'emovox stress' again"),
        ("HEADER\nclip,small,x,much", "line 2: .*expected the stress.csv of a run"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "stress.csv"
    header = format_stress(()).strip()
    path.write_text(text.replace("HEADER", header))
    with pytest.raises(RunError, match=match):
        read_stress(path)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="run 'emovox stress' again"):
        read_stress(tmp_path / "stress.csv")
