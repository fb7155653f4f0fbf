"""Fixtures: the real corpus where it is to be had, and audio that the tests make themselves."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf


@pytest.fixture(scope="session")
def ravdess() -> Path:
    """Return the data folder that holds RAVDESS, or skip where EMOVOX_DATA does not say.

    Where EMOVOX_REQUIRE_CORPUS is set, as in CI, it fails instead: a skip is no pass.
    """
    data = os.environ.get("EMOVOX_DATA")
    if not data and os.environ.get("EMOVOX_REQUIRE_CORPUS"):
        pytest.fail("EMOVOX_REQUIRE_CORPUS is set, but EMOVOX_DATA is not")
    if not data:
        pytest.skip("EMOVOX_DATA is not set: no RAVDESS recordings")
    return Path(data)


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """Return a 1 s WAV file, 48 kHz mono 16 bit, of a 1 kHz tone at half scale."""
    path = tmp_path / "tone.wav"
    time_s = np.arange(48_000) / 48_000
    sf.write(path, 0.5 * np.sin(2 * np.pi * 1_000 * time_s), 48_000, subtype="PCM_16")
    return path
