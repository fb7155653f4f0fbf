"""Synthesised rooms: decay, ratio of direct to reflected sound, and nothing late."""

import numpy as np
import pytest

from emovox.perturbations.levels import measure_rms
from emovox.perturbations.rooms import add_reverberation, make_impulse_response

RATE_HZ = 16_000


@pytest.mark.parametrize("rt60_s", [0.3, 1.0])
def test_a_room_decays_by_60_db_in_its_time(rt60_s: float) -> None:
    response = make_impulse_response(RATE_HZ, np.random.default_rng(0), rt60_s=rt60_s)
    assert len(response) == rt60_s * RATE_HZ
    tail = response[100:].astype(np.float64) ** 2
    # Schroeder's integral: what is still to come, in dB.
    left_db = 10 * np.log10(tail[::-1].cumsum()[::-1] / tail.sum())
    fallen = np.searchsorted(-left_db, [5, 25])
    assert 3 * (fallen[1] - fallen[0]) / RATE_HZ == pytest.approx(rt60_s, rel=0.1)


@pytest.mark.parametrize("ratio_db", [-5, 0, 10])
def test_a_room_has_the_direct_sound_first_and_its_ratio(ratio_db: float) -> None:
    response = make_impulse_response(
        RATE_HZ, np.random.default_rng(0), rt60_s=0.5, direct_to_reverberant_db=ratio_db
    )
    assert response[0] == 1
    np.testing.assert_array_equal(response[1:32], 0)
    reflected = float((response[1:].astype(np.float64) ** 2).sum())
    assert -10 * np.log10(reflected) == pytest.approx(ratio_db, abs=0.01)


def test_a_room_without_reflections_is_refused() -> None:
    with pytest.raises(ValueError, match="reverberation time of 0.001 s; expected more than"):
        make_impulse_response(RATE_HZ, np.random.default_rng(0), rt60_s=0.001)


def test_speech_in_a_room_is_as_long_and_as_loud_and_not_late() -> None:
    speech = np.zeros(8_000, np.float32)
    speech[1_000:1_500] = np.random.default_rng(1).uniform(-0.1, 0.1, 500)
    response = make_impulse_response(RATE_HZ, np.random.default_rng(0), rt60_s=0.2)
    wet = add_reverberation(speech, response)
    assert wet.shape == speech.shape
    assert wet.dtype == np.float32
    assert measure_rms(wet) == pytest.approx(measure_rms(speech), rel=1e-3)
    np.testing.assert_allclose(wet[:1_000], 0, atol=1e-6)
    assert np.abs(wet[1_500:3_000]).max() > 0.001
    lag = np.correlate(wet, speech, "full").argmax() - (len(speech) - 1)
    assert lag == 0
