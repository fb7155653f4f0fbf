"""McNemar's exact test of two models on the same clips, and the interval that agrees with it."""

from scipy.special import bdtr, betaincinv

from emovox.evaluation.intervals import LEVEL, Interval


def compare_paired(first_only: int, second_only: int) -> float:
    """Return the p value of McNemar's exact test of two models on the same clips.

    If both models were equally good, each clip that only one of them gets right would go to either
    with probability 1/2 (McNemar, 1947, Psychometrika 12, 153-157; a sign test).

    Args:
        first_only: Clips that only the first model gets right.
        second_only: Clips that only the second gets right.

    Returns:
        The two-sided p value, in (0, 1].

    Examples:
        >>> compare_paired(6, 1)
        0.125
    """
    tail = bdtr(min(first_only, second_only), first_only + second_only, 0.5)
    return min(1.0, 2 * float(tail))


def exact_paired_interval(
    first_only: int, second_only: int, n_clips: int, *, level: float = LEVEL
) -> Interval:
    """Return an interval of a difference in accuracy that agrees with McNemar's exact test.

    The interval contains 0 exactly when the test is not significant. It is the interval of Clopper
    & Pearson (1934, Biometrika 26, 404-413) for the first model's share of the clips that only one
    model gets right, rescaled by the share of such clips.

    Args:
        first_only: Clips that only the first model gets right.
        second_only: Clips that only the second gets right.
        n_clips: Total number of clips.
        level: Confidence level.

    Returns:
        The interval of the first model's accuracy minus the second's.

    Examples:
        >>> interval = exact_paired_interval(6, 1, 36)
        >>> round(interval.low, 3), round(interval.high, 3)
        (-0.031, 0.193)
    """
    tail = (1 - level) / 2
    low = betaincinv(first_only, second_only + 1, tail) if first_only else 0.0
    high = betaincinv(first_only + 1, second_only, 1 - tail) if second_only else 1.0
    parted = (first_only + second_only) / n_clips
    return Interval(float((2 * low - 1) * parted), float((2 * high - 1) * parted), level)
