import numpy as np
import pytest
import scipy.stats

from emovox.evaluation.intervals import Interval
from emovox.evaluation.paired_test import compare_paired, exact_paired_interval


@pytest.mark.parametrize(
    ("first_only", "second_only", "p_value"),
    [(6, 1, 0.125), (1, 6, 0.125), (5, 0, 0.0625), (6, 0, 0.03125), (3, 3, 1.0), (0, 0, 1.0)],
)
def test_p_values_worked_out_by_hand(first_only: int, second_only: int, p_value: float) -> None:
    # 6 against 1: 2 * (1 + 7) / 2**7.
    assert compare_paired(first_only, second_only) == pytest.approx(p_value, abs=1e-12)


def test_p_values_are_those_of_the_sign_test() -> None:
    for first_only in range(12):
        for second_only in range(12):
            if first_only + second_only:
                expected = scipy.stats.binomtest(first_only, first_only + second_only).pvalue
                assert compare_paired(first_only, second_only) == pytest.approx(expected)


def test_the_interval_holds_zero_where_the_test_does() -> None:
    for first_only in range(15):
        for second_only in range(15):
            interval = exact_paired_interval(first_only, second_only, 36)
            assert interval.low <= (first_only - second_only) / 36 <= interval.high
            holds_zero = interval.low <= 0 <= interval.high
            assert holds_zero == (compare_paired(first_only, second_only) >= 0.05)


def test_the_interval_is_that_of_clopper_and_pearson() -> None:
    share = scipy.stats.binomtest(6, 7).proportion_ci(0.95, method="exact")
    interval = exact_paired_interval(6, 1, 36)
    ends = np.array([interval.low, interval.high])
    assert ends == pytest.approx((2 * np.array([share.low, share.high]) - 1) * 7 / 36)
    assert exact_paired_interval(0, 0, 36) == Interval(0.0, 0.0)
