"""Fixtures of the trainings."""

import math

import pytest

from emovox.training import trainer


@pytest.fixture
def save_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every epoch write its checkpoint, however short it is."""
    monkeypatch.setattr(trainer, "SAVE_SHARE", math.inf)
