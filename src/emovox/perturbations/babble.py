"""Babble noise: other people talking, from recorded or synthesised voices."""

from collections.abc import Sequence

import numpy as np

from emovox.perturbations.levels import Samples, filter_resonance
from emovox.perturbations.noises import scale_to_peak

BABBLE_VOICES = (4, 7)
"""Smallest and largest number of voices in babble, as in ser-tests."""

_BABBLE_GAIN_DB = (-20, -13)
_VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480))
"""First three formants of /a i u e/ (Peterson and Barney, 1952, men)."""


def make_babble(
    n_samples: int,
    rate_hz: int,
    generator: np.random.Generator,
    voices: Sequence[Samples] = (),
) -> Samples:
    """Make babble noise of four to seven people.

    Each voice is drawn from the given recordings, starts at a random position, is repeated to the
    requested length, and has a gain of -20 to -13 dB, as in ser-tests. Without
    recordings, voices are synthesised by ``make_voice``.

    Args:
        n_samples: Number of samples.
        rate_hz: Sampling rate in Hz.
        generator: Source of randomness.
        voices: Recordings of single speakers at the same rate, each float32 ``(samples,)``.

    Returns:
        Float32 ``(n_samples,)``.

    Examples:
        >>> make_babble(8_000, 16_000, np.random.default_rng(0)).shape
        (8000,)
    """
    babble = np.zeros(n_samples, np.float32)
    for _ in range(int(generator.integers(BABBLE_VOICES[0], BABBLE_VOICES[1] + 1))):
        gain = np.float32(
            10 ** (generator.integers(_BABBLE_GAIN_DB[0], _BABBLE_GAIN_DB[1] + 1) / 20)
        )
        if voices:
            voice = voices[int(generator.integers(len(voices)))]
            start = int(generator.integers(len(voice)))
            voice = np.resize(np.roll(voice, -start), n_samples)
        else:
            voice = make_voice(n_samples, rate_hz, generator)
        babble += gain * voice
    return babble


def make_voice(n_samples: int, rate_hz: int, generator: np.random.Generator) -> Samples:
    """Synthesise a voice that says vowels: a gliding buzz filtered by changing formants.

    Args:
        n_samples: Number of samples.
        rate_hz: Sampling rate in Hz.
        generator: Source of randomness.

    Returns:
        Float32 ``(n_samples,)`` with a peak of 1: three to six syllables per second with pauses,
        and a pitch around a random value between 90 and 250 Hz.

    Examples:
        >>> make_voice(8_000, 16_000, np.random.default_rng(0)).shape
        (8000,)
    """
    duration_s = n_samples / rate_hz
    n_syllables = max(1, round(duration_s * generator.uniform(3, 6)))
    knots = np.linspace(0, n_samples, n_syllables + 1)
    pitch_hz = generator.uniform(90, 250) * 2 ** generator.uniform(-0.25, 0.25, n_syllables + 1)
    cycles = np.cumsum(np.interp(np.arange(n_samples), knots, pitch_hz)) / rate_hz
    source = 2 * (cycles % 1) - 1 + 0.1 * generator.standard_normal(n_samples)
    place = np.arange(n_samples) * n_syllables / n_samples
    syllable = np.minimum(place.astype(int), n_syllables - 1)
    vowels = generator.integers(len(_VOWELS_HZ), size=n_syllables)
    loudness = generator.uniform(0.2, 1, n_syllables) * (generator.random(n_syllables) < 0.8)
    voice = np.zeros(n_samples)
    tract = generator.uniform(0.95, 1.2)
    for vowel in np.unique(vowels):
        spoken = source * (vowels[syllable] == vowel)
        for formant_hz in _VOWELS_HZ[vowel]:
            spoken = filter_resonance(spoken, rate_hz, tract * formant_hz, bandwidth_hz=90)
        voice += spoken / max(np.abs(spoken).max(), 1e-9)
    # Each syllable fades in and out, so there are no clicks between vowels.
    voice *= loudness[syllable] * np.sin(np.pi * (place - syllable))
    return scale_to_peak(voice.astype(np.float32))
