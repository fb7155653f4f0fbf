"""Augmented copies of training clips: parts, speeds, rooms, microphones, noises and lines."""

import copy
import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, rfft, rfftfreq

from emovox.perturbations.babble import make_babble
from emovox.perturbations.codecs import MP3, OPUS, Codec, code_samples, simulate_phone
from emovox.perturbations.environment import make_environment
from emovox.perturbations.interference import add_interference
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
MIN_PART_S = 1.0
QUIET_DB = 35.0
"""Level below a clip's loudest frame, in dB, at which its start and end count as silence."""


Span = tuple[int, int]
"""Index of the first sample, and after the last one."""


@dataclass(frozen=True, slots=True)
class PhoneLine:
    """A poor telephone line.

    Attributes:
        generator: Source of the line's noise; not advanced.
    """

    generator: np.random.Generator


@dataclass(frozen=True, slots=True)
class CodedLine:
    """A codec at a low bit rate.

    Attributes:
        codec: The codec.
        bit_rate: Bit rate in bits per second.
    """

    codec: Codec
    bit_rate: int


@dataclass(frozen=True, slots=True, eq=False)
class Augmentation:
    """The steps that make one augmented copy, in order; ``None`` skips a step.

    Attributes:
        spans: Start and end of each part kept, in order.
        speed: Speed factor; above 1 is faster and higher-pitched.
        room: Impulse response, float32 ``(samples,)``.
        gains_db: Equalizer gain at each of ``EQUALIZER_HZ``, float64 ``(7,)``.
        noise: Noise to add, float32, as long as the copy after the speed change.
        snr_db: Signal-to-noise ratio in dB.
        interference: Generator of the hum, rumble, clicks or tap to add; not advanced.
        clipped: Share of the samples to clip.
        line: Telephone line or codec to apply.
    """

    spans: tuple[Span, ...]
    speed: float | None = None
    room: Samples | None = None
    gains_db: npt.NDArray[np.float64] | None = None
    noise: Samples | None = None
    snr_db: float = 0.0
    interference: np.random.Generator | None = None
    clipped: float | None = None
    line: PhoneLine | CodedLine | None = None


def perturb(
    samples: Samples,
    rate_hz: int,
    settings: AugmentationSettings,
    generator: np.random.Generator,
) -> Samples:
    """Make an augmented copy of a recording: a random part, speed, room, microphone and line.

    Args:
        samples: float32 ``(samples,)``.
        rate_hz: Sampling rate in Hz.
        settings: Share of copies that each step applies to, and the largest speed change.
        generator: Source of randomness.

    Returns:
        float32 ``(new_samples,)`` at the same rate.

    Examples:
        >>> settings = AugmentationSettings(speed=0, codec=0, crop=False, parts=0)
        >>> perturb(np.ones(800, np.float32), 16_000, settings, np.random.default_rng(0)).shape
        (800,)
    """
    drawn = draw_augmentation(samples, rate_hz, settings, generator)
    return apply_augmentation(samples, rate_hz, drawn)


def draw_augmentation(
    samples: Samples,
    rate_hz: int,
    settings: AugmentationSettings,
    generator: np.random.Generator,
) -> Augmentation:
    """Draw the parameters of an augmented copy of a recording.

    Args:
        samples: float32 ``(samples,)``; only their length and silence at the ends matter.
        rate_hz: Sampling rate in Hz.
        settings: Share of copies that each step applies to, and the largest speed change.
        generator: Source of randomness.

    Returns:
        The parameters for ``apply_augmentation``.
    """
    span = 0, len(samples)
    if settings.crop:
        span = draw_crop(samples, rate_hz, generator)
    # Drawn together for every copy, so the share of one step does not change which copies get
    # the other steps, only how they sound.
    speed = math.exp(generator.uniform(-1, 1) * math.log1p(settings.speed))
    reverberation, equalizer, noise, codec, clipping, parts, interference = generator.random(7)
    is_part = parts < settings.parts
    spans = draw_parts(samples, rate_hz, span, generator) if is_part else (span,)
    n_samples = sum(end - start for start, end in spans)
    if settings.speed:
        n_samples = count_samples(n_samples, rate_hz, speed)
    drawn = Augmentation(spans, speed if settings.speed else None)
    if reverberation < settings.reverberation:
        rt60_s = generator.uniform(*RT60_S)
        ratio_db = generator.uniform(*DIRECT_TO_REVERBERANT_DB)
        room = make_impulse_response(
            rate_hz, generator, rt60_s=rt60_s, direct_to_reverberant_db=ratio_db
        )
        drawn = replace(drawn, room=room)
    if equalizer < settings.equalizer:
        gains_db = generator.uniform(-EQUALIZER_DB, EQUALIZER_DB, len(EQUALIZER_HZ))
        drawn = replace(drawn, gains_db=gains_db)
    if noise < settings.noise:
        added = make_noise(n_samples, rate_hz, generator)
        drawn = replace(drawn, noise=added, snr_db=generator.uniform(*SNR_DB))
    if interference < settings.interference:
        drawn = replace(drawn, interference=copy.deepcopy(generator))
    if clipping < settings.clipping:
        drawn = replace(drawn, clipped=math.exp(generator.uniform(*np.log(CLIPPED))))
    if codec < settings.codec:
        drawn = replace(drawn, line=draw_line(generator))
    return drawn


def apply_augmentation(samples: Samples, rate_hz: int, drawn: Augmentation) -> Samples:
    """Make an augmented copy from drawn parameters.

    Args:
        samples: The recording that the parameters were drawn for, float32 ``(samples,)``.
        rate_hz: Sampling rate in Hz.
        drawn: Parameters from ``draw_augmentation``.

    Returns:
        float32 ``(new_samples,)`` at the same rate; deterministic for given parameters.
    """
    samples = np.concatenate([samples[start:end] for start, end in drawn.spans])
    if drawn.speed is not None:
        samples = change_speed(samples, rate_hz, drawn.speed)
    if drawn.room is not None:
        samples = add_reverberation(samples, drawn.room)
    if drawn.gains_db is not None:
        samples = equalize(samples, rate_hz, drawn.gains_db)
    if drawn.noise is not None:
        samples = mix_noise(samples, drawn.noise, drawn.snr_db)
    if drawn.interference is not None:
        samples = add_interference(samples, rate_hz, copy.deepcopy(drawn.interference))
    if drawn.clipped is not None:
        samples = clip_share(samples, drawn.clipped)
    match drawn.line:
        case PhoneLine(generator):
            return simulate_phone(samples, rate_hz, copy.deepcopy(generator))
        case CodedLine(codec, bit_rate):
            return code_samples(samples, rate_hz, codec, bit_rate)
    return samples


def count_samples(n_samples: int, rate_hz: int, speed: float) -> int:
    """Return the number of samples that ``change_speed`` returns, using libsoxr's rule."""
    return int(n_samples / (rate_hz * speed / rate_hz) + 0.5)


def find_speech(samples: Samples, rate_hz: int) -> Span | None:
    """Find where speech begins and ends; an incomplete last frame counts as silence."""
    n_frame = rate_hz // 50
    n_frames = len(samples) // n_frame
    if n_frames < 2:
        return None
    power = np.square(samples[: n_frames * n_frame]).reshape(n_frames, n_frame).mean(1)
    loud = np.flatnonzero(power > power.max() * 10 ** (-QUIET_DB / 10))
    return (int(loud[0]) * n_frame, (int(loud[-1]) + 1) * n_frame) if len(loud) else None


def draw_crop(samples: Samples, rate_hz: int, generator: np.random.Generator) -> Span:
    """Draw how much silence to trim at each end."""
    speech = find_speech(samples, rate_hz)
    if speech is None:
        return 0, len(samples)
    start = int(generator.integers(speech[0] + 1))
    return start, int(generator.integers(speech[1], len(samples) + 1))


def draw_parts(
    samples: Samples, rate_hz: int, span: Span, generator: np.random.Generator
) -> tuple[Span, ...]:
    """Draw a part of a recording, or two parts as windows of long speech hold them.

    Such a window may begin within a sentence and end within the next, with a pause between. Both
    are parts of the same clip here, the later one first: parts of two clips would bring clips of
    the test side into training.
    """
    speech = find_speech(samples, rate_hz)
    shortest = round(MIN_PART_S * rate_hz)
    if speech is None or speech[1] - speech[0] <= shortest:
        return (span,)
    first, last = speech
    if generator.random() < 0.5:
        length = int(generator.integers(shortest, last - first))
        start = int(generator.integers(first, last - length + 1))
        return ((start, start + length),)
    later, earlier = generator.uniform((0.0, 0.4), (0.6, 1.0))
    return (
        (first + round(later * (last - first)), span[1]),
        (span[0], first + round(earlier * (last - first))),
    )


def equalize(samples: Samples, rate_hz: int, gains_db: npt.NDArray[np.float64]) -> Samples:
    """Apply a smooth frequency response."""
    octaves = np.log2(np.maximum(rfftfreq(len(samples), 1 / rate_hz), EQUALIZER_HZ[0]))
    response_db = np.interp(octaves, np.log2(EQUALIZER_HZ), gains_db)
    equalized: Samples = irfft(rfft(samples) * 10 ** (response_db / 20), len(samples))
    return equalized.astype(np.float32)


def make_noise(n_samples: int, rate_hz: int, generator: np.random.Generator) -> Samples:
    """Draw a noise: white to brown, babble, or environmental sounds."""
    kind = generator.random()
    if kind < 0.4:
        slope_db = -6 * generator.random()
        return make_coloured_noise(n_samples, rate_hz, generator, slope_db=slope_db)
    if kind < 0.75:
        return make_babble(n_samples, rate_hz, generator)
    return make_environment(n_samples, rate_hz, generator)


def draw_line(generator: np.random.Generator) -> PhoneLine | CodedLine:
    """Draw a telephone line, or a codec and its bit rate."""
    kind = generator.random()
    if kind < 0.4:
        return PhoneLine(copy.deepcopy(generator))
    codec = OPUS if kind < 0.7 else MP3
    return CodedLine(codec, int(generator.choice(CODEC_BIT_RATES)))
