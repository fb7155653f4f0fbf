"""How many processor cores this process may use."""

import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def count_cores(quota: Path = _QUOTA) -> int:
    """Return the number of cores that this process may use, at least 1.

    Args:
        quota: File with the container's quota and period, as Linux (cgroup v2) writes it.

    Examples:
        >>> count_cores() >= 1
        True
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    try:
        allowed_us, period_us = map(int, quota.read_text(encoding="ascii").split())
    except (OSError, ValueError):  # no container, or "max": no quota
        return cores
    return max(1, min(cores, allowed_us // period_us))
