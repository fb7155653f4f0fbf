"""Disturbed copies of training clips: other rooms, microphones, lines, noises and voices."""

import math

import numpy as np
from scipy.fft import irfft, rfft, rfftfreq

from emovox.perturbations.babble import make_babble
from emovox.perturbations.codecs import MP3, OPUS, code_samples, simulate_phone
from emovox.perturbations.environment import make_environment
from emovox.perturbations.levels import Samples, clip_share, mix_noise
from emovox.perturbations.noises import make_coloured_noise
from emovox.perturbations.rooms import add_reverberation, make_impulse_response
from emovox.perturbations.timing import change_speed
from emovox.recipes.settings import AugmentationSettings

RT60_S = (0.1, 0.8)
DIRECT_TO_REVERBERANT_DB = (-2.0, 12.0)
SNR_DB = (5.0, 40.0)
CLIPPED = (0.001, 0.05)
EQUALIZER_DB = 6.0
EQUALIZER_HZ = (20.0, 60.0, 180.0, 540.0, 1_600.0, 4_000.0, 8_000.0)
CODEC_BIT_RATES = (8_000, 12_000, 16_000, 24_000)
QUIET_DB = 35.0
"""What is further below a clip's loudest frame is silence, at both of its ends."""


def disturb(
    samples: Samples,
    rate_hz: int,
    settings: AugmentationSettings,
    generator: np.random.Generator,
) -> Samples:
    """Make a copy of a recording as another voice, room, microphone and line would give it.

    Args:
        samples: float32 ``(samples,)``.
        rate_hz: Their sampling rate.
        settings: How much of what.
        generator: Source of randomness.

    Returns:
        float32 of another length, at the same rate.

    Example:
        >>> settings = AugmentationSettings(speed=0, codec=0, crop=False)
        >>> disturb(np.ones(800, np.float32), 16_000, settings, np.random.default_rng(0)).shape
        (800,)
    """
    if settings.crop:
        samples = crop_silence(samples, rate_hz, generator)
    # Drawn together for every copy: how often one part takes place does not change which copies
    # have the others, only how those sound.
    speed = math.exp(generator.uniform(-1, 1) * math.log1p(settings.speed))
    reverberation, equalizer, noise, codec, clipping = generator.random(5)
    if settings.speed:
        samples = change_speed(samples, rate_hz, speed)
    if reverberation < settings.reverberation:
        response = make_impulse_response(
            rate_hz,
            generator,
            rt60_s=generator.uniform(*RT60_S),
            direct_to_reverberant_db=generator.uniform(*DIRECT_TO_REVERBERANT_DB),
        )
        samples = add_reverberation(samples, response)
    if equalizer < settings.equalizer:
        samples = equalize(samples, rate_hz, generator)
    if noise < settings.noise:
        added = make_noise(len(samples), rate_hz, generator)
        samples = mix_noise(samples, added, generator.uniform(*SNR_DB))
    if clipping < settings.clipping:
        samples = clip_share(samples, math.exp(generator.uniform(*np.log(CLIPPED))))
    if codec < settings.codec:
        samples = send(samples, rate_hz, generator)
    return samples


def crop_silence(samples: Samples, rate_hz: int, generator: np.random.Generator) -> Samples:
    """Cut off a random part of the silence at each end, to which the last broken frame counts."""
    n_frame = rate_hz // 50
    n_frames = len(samples) // n_frame
    if n_frames < 2:
        return samples
    power = np.square(samples[: n_frames * n_frame]).reshape(n_frames, n_frame).mean(1)
    loud = np.flatnonzero(power > power.max() * 10 ** (-QUIET_DB / 10))
    if not len(loud):
        return samples
    first, last = int(loud[0]) * n_frame, (int(loud[-1]) + 1) * n_frame
    start = int(generator.integers(first + 1))
    end = int(generator.integers(last, len(samples) + 1))
    return samples[start:end]


def equalize(samples: Samples, rate_hz: int, generator: np.random.Generator) -> Samples:
    """Give a recording a smooth frequency response of its own, within +-6 dB."""
    gains_db = generator.uniform(-EQUALIZER_DB, EQUALIZER_DB, len(EQUALIZER_HZ))
    octaves = np.log2(np.maximum(rfftfreq(len(samples), 1 / rate_hz), EQUALIZER_HZ[0]))
    response_db = np.interp(octaves, np.log2(EQUALIZER_HZ), gains_db)
    equalized: Samples = irfft(rfft(samples) * 10 ** (response_db / 20), len(samples))
    return equalized.astype(np.float32)


def make_noise(n_samples: int, rate_hz: int, generator: np.random.Generator) -> Samples:
    """Draw a noise: white to brown, people talking, or wind, rain and machines."""
    kind = generator.random()
    if kind < 0.4:
        slope_db = -6 * generator.random()
        return make_coloured_noise(n_samples, rate_hz, generator, slope_db=slope_db)
    if kind < 0.75:
        return make_babble(n_samples, rate_hz, generator)
    return make_environment(n_samples, rate_hz, generator)


def send(samples: Samples, rate_hz: int, generator: np.random.Generator) -> Samples:
    """Send a recording over a telephone, or code it with few bits."""
    kind = generator.random()
    if kind < 0.4:
        return simulate_phone(samples, rate_hz, generator)
    codec = OPUS if kind < 0.7 else MP3
    return code_samples(samples, rate_hz, codec, int(generator.choice(CODEC_BIT_RATES)))
