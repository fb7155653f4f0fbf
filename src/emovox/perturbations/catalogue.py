"""The tests of ``emovox stress``: definitions, thresholds and results of public models."""

from collections.abc import Callable, Sequence

import numpy as np

from emovox.errors import EmovoxError
from emovox.perturbations import (
    babble,
    codecs,
    environment,
    interference,
    levels,
    noises,
    rooms,
    timing,
)
from emovox.perturbations.definition import (
    GROUPS,
    SER_TESTS_RATE_HZ,
    Apply,
    Peers,
    StressTest,
    Voices,
)
from emovox.perturbations.levels import Samples

N_JOINED = 5
"""Recordings that follow a clip in the test of joined clips."""


def find_tests(names: Sequence[str] = ()) -> tuple[StressTest, ...]:
    """Find tests by group or name.

    Args:
        names: Names of groups and of single tests; empty: all tests.

    Returns:
        The tests in the order of ``TESTS``, each once.

    Raises:
        EmovoxError: A group or test does not exist.

    Examples:
        >>> [test.name for test in find_tests(["phone", "gain +6 dB"])]
        ['low-quality phone', 'gain +6 dB']
    """
    for name in names:
        if name not in GROUPS and name not in {test.name for test in TESTS}:
            raise EmovoxError(
                f"there is no stress test {name!r}; expected groups ({', '.join(GROUPS)}) or names "
                "of tests as the table prints them"
            )
    return tuple(t for t in TESTS if not names or t.group in names or t.name in names)


def _draw(generator: np.random.Generator, values: Sequence[float]) -> float:
    """Return one of the values, drawn uniformly."""
    return values[int(generator.integers(len(values)))]


def _fit(samples: Samples) -> Samples:
    """Scale samples down to a peak of 1 if they exceed it, so that they fit into a file."""
    return samples / np.float32(max(1.0, float(np.abs(samples).max())))


def _make_small_tests() -> list[StressTest]:
    """Return the ten small changes, as ser-tests defines them."""

    def draw_samples(rate_hz: int, generator: np.random.Generator) -> int:
        return round(_draw(generator, (100, 500, 1_000)) * rate_hz / SER_TESTS_RATE_HZ)

    samples = "100, 500 or 1,000 samples of 16 kHz"
    changes: list[tuple[str, str, tuple[float, float], Apply]] = [
        (
            "additive tone",
            "sine of 5 to 7 kHz, peak SNR 40, 45 or 50 dB",
            (0.99, 0.96),
            lambda x, rate_hz, generator, _: noises.add_tone(
                x,
                rate_hz,
                frequency_hz=float(generator.integers(5_000, 7_001)),
                peak_snr_db=_draw(generator, (40, 45, 50)),
            ),
        ),
        (
            "append zeros",
            f"{samples}, zeros at the end",
            (1.00, 1.00),
            lambda x, rate_hz, generator, _: timing.append_zeros(
                x, draw_samples(rate_hz, generator)
            ),
        ),
        (
            "prepend zeros",
            f"{samples}, zeros at the beginning",
            (0.98, 0.97),
            lambda x, rate_hz, generator, _: timing.prepend_zeros(
                x, draw_samples(rate_hz, generator)
            ),
        ),
        (
            "clip",
            "the loudest 0.1, 0.2 or 0.3% of the samples clipped",
            (1.00, 0.99),
            lambda x, _, generator, __: levels.clip_share(
                x, _draw(generator, (0.001, 0.002, 0.003))
            ),
        ),
        (
            "crop beginning",
            f"{samples} removed",
            (0.99, 0.97),
            lambda x, rate_hz, generator, _: timing.crop_beginning(
                x, draw_samples(rate_hz, generator)
            ),
        ),
        (
            "crop end",
            f"{samples} removed",
            (1.00, 1.00),
            lambda x, rate_hz, generator, _: timing.crop_end(x, draw_samples(rate_hz, generator)),
        ),
        (
            "gain",
            "-2, -1, 1 or 2 dB",
            (1.00, 1.00),
            lambda x, _, generator, __: levels.apply_gain(x, _draw(generator, (-2, -1, 1, 2))),
        ),
        (
            "high-pass",
            "Butterworth of order 1 at 50, 100 or 150 Hz",
            (0.99, 0.99),
            lambda x, rate_hz, generator, _: levels.filter_highpass(
                x, rate_hz, _draw(generator, (50, 100, 150))
            ),
        ),
        (
            "low-pass",
            "Butterworth of order 1 at 7,500, 7,000 or 6,500 Hz",
            (0.98, 0.99),
            lambda x, rate_hz, generator, _: levels.filter_lowpass(
                x, rate_hz, _draw(generator, (7_500, 7_000, 6_500))
            ),
        ),
        (
            "white noise",
            "RMS SNR 35, 40 or 45 dB",
            (0.98, 0.93),
            lambda x, _, generator, __: noises.add_white_noise(
                x, generator, snr_db=_draw(generator, (35, 40, 45))
            ),
        ),
    ]
    return [
        StressTest(name, "small", definition, apply, min_unchanged=0.95, peers=Peers(unchanged))
        for name, definition, unchanged, apply in changes
    ]


def _make_background_tests() -> list[StressTest]:
    """Return three backgrounds at 20 dB SNR, then the same noises at lower SNR."""

    def mix(make: Callable[..., Samples], snr_db: float) -> Apply:
        return lambda x, rate_hz, generator, voices: levels.mix_noise(
            x, make(len(x), rate_hz, generator, voices), snr_db
        )

    kinds: list[tuple[str, str, tuple[float, float], Callable[..., Samples]]] = [
        ("babble", "4 to 7 other voices", (0.95, 0.90), babble.make_babble),
        (
            "environment",
            "wind, machine, rain, steps or beeps",
            (0.96, 0.90),
            lambda n, rate_hz, generator, _: environment.make_environment(n, rate_hz, generator),
        ),
        (
            "white noise",
            "Gaussian noise",
            (0.91, 0.85),
            lambda n, _, generator, __: noises.make_white_noise(n, generator),
        ),
    ]
    tests = [
        StressTest(
            f"{name} 20 dB",
            "background",
            f"{what}, RMS SNR 20 dB",
            mix(make, 20),
            min_unchanged=0.85,
            max_uar_loss=0.04,
            peers=Peers(unchanged),
            draws_as=f"{name} background",
            snr_db=20,
            voices=Voices.OTHERS if name == "babble" else Voices.NONE,
        )
        for name, what, unchanged, make in kinds
    ]
    return tests + [
        StressTest(
            f"{name} {snr_db} dB",
            "curve",
            f"{what}, RMS SNR {snr_db} dB",
            mix(make, snr_db),
            draws_as=f"{name} background",
            snr_db=snr_db,
            voices=Voices.OTHERS if name == "babble" else Voices.NONE,
        )
        for name, what, _, make in kinds
        for snr_db in (10, 5, 0)
    ]


def _make_interference_tests() -> list[StressTest]:
    """Return what lies below speech or bursts into it, at levels that recordings have."""

    def hum(mains_hz: float) -> Apply:
        return lambda x, rate_hz, generator, _: levels.mix_noise(
            x, interference.make_mains_hum(len(x), rate_hz, generator, mains_hz=mains_hz), 10
        )

    changes: list[tuple[str, str, Apply]] = [
        (
            "offset",
            "a constant of 0.005, 0.01, 0.02 or 0.05 of full scale",
            lambda x, _, generator, __: interference.add_offset(
                x, _draw(generator, (0.005, 0.01, 0.02, 0.05))
            ),
        ),
        (
            "settling offset",
            "0.05, 0.1 or 0.2 of full scale, which dies away within a second",
            lambda x, rate_hz, generator, _: interference.add_settling_offset(
                x, rate_hz, _draw(generator, (0.05, 0.1, 0.2))
            ),
        ),
        ("hum 50 Hz", "with harmonics, RMS SNR 10 dB", hum(50)),
        ("hum 60 Hz", "with harmonics, RMS SNR 10 dB", hum(60)),
        (
            "rumble",
            "noise below 50 Hz, RMS SNR 5 dB",
            lambda x, rate_hz, generator, _: levels.mix_noise(
                x, interference.make_rumble(len(x), rate_hz, generator), 5
            ),
        ),
        (
            "click",
            "2 ms, ten times the peak of the speech",
            lambda x, rate_hz, generator, _: _fit(
                interference.add_click(x, rate_hz, generator, height=10)
            ),
        ),
        (
            "tap",
            "a dull tone of 0.1 s, three times the peak of the speech",
            lambda x, rate_hz, generator, _: _fit(
                interference.add_tap(x, rate_hz, generator, height=3)
            ),
        ),
    ]
    return [
        StressTest(name, "interference", definition, apply, min_unchanged=0.95)
        for name, definition, apply in changes
    ]


def _make_length_tests() -> list[StressTest]:
    """Return shorter and longer speech: loudest parts of a clip, and clips joined."""

    def cut(duration_s: float) -> Apply:
        return lambda x, rate_hz, *_: timing.cut_loudest(x, round(duration_s * rate_hz))

    cuts = [
        StressTest(
            f"cut to {duration_s} s",
            "length",
            f"the loudest {duration_s} s",
            cut(duration_s),
            max_uar_loss=loss,
            is_random=False,
        )
        for duration_s, loss in ((1, 0.12), (2, 0.05), (4, 0.01))
    ]
    joined = StressTest(
        "joined",
        "length",
        "followed by five other recordings of the same speaker and emotion",
        lambda x, _, __, voices: np.concatenate([x, *(voices or [x] * N_JOINED)[:N_JOINED]]),
        max_uar_loss=0.03,
        is_random=False,
        voices=Voices.SAME,
    )
    return [*cuts, joined]


def _make_channel_tests() -> list[StressTest]:
    """Return telephones, codecs and rooms."""
    phone = StressTest(
        "low-quality phone",
        "phone",
        "compressed dynamics, AMR at 7.4 kbit/s (8 kHz), noise above 3 kHz",
        lambda x, rate_hz, generator, _: codecs.simulate_phone(x, rate_hz, generator),
        max_uar_loss=0.05,
        peers=Peers(uar_change=(-0.13, 0.05)),
    )

    def code(codec: codecs.Codec, bit_rate: int) -> Apply:
        return lambda x, rate_hz, _, __: codecs.code_samples(x, rate_hz, codec, bit_rate)

    coded = [
        StressTest(name, "codec", definition, code(codec, rate), is_random=False)
        for name, definition, codec, rate in (
            ("MP3 32 kbit/s", "at 16 kHz", codecs.MP3, 32_000),
            ("MP3 16 kbit/s", "at 16 kHz", codecs.MP3, 16_000),
            ("Opus 12 kbit/s", "at 16 kHz", codecs.OPUS, 12_000),
            ("Opus 6 kbit/s", "at 16 kHz", codecs.OPUS, 6_000),
            ("G.711", "mu-law at 8 kHz, a good landline", codecs.G711_MU_LAW, 0),
        )
    ]

    def sound_in_room(rt60_s: float) -> Apply:
        return lambda x, rate_hz, generator, _: rooms.add_reverberation(
            x, rooms.make_impulse_response(rate_hz, generator, rt60_s=rt60_s)
        )

    rooms_ = [
        StressTest(
            f"room {rt60_s} s",
            "room",
            f"reverberation time {rt60_s} s, as much reflected as direct sound",
            sound_in_room(rt60_s),
            draws_as="room",
        )
        for rt60_s in (0.3, 0.6, 1.0)
    ]
    return [phone, *coded, *rooms_]


def _make_level_and_time_tests() -> list[StressTest]:
    """Return large gains, silence around the speech, and other speeds."""

    def amplify(gain_db: float) -> Apply:
        return lambda x, *_: np.clip(levels.apply_gain(x, gain_db), -1, 1)

    def play(speed: float) -> Apply:
        return lambda x, rate_hz, *_: timing.change_speed(x, rate_hz, speed)

    gains = [
        StressTest(
            f"gain {db:+d} dB",
            "level",
            "clipped at full scale, as in a file",
            amplify(db),
            is_random=False,
        )
        for db in (-12, -6, 6, 12)
    ]
    silence = StressTest(
        "silence around",
        "silence",
        "1 s of zeros before and 1 s after",
        lambda x, rate_hz, *_: timing.append_zeros(timing.prepend_zeros(x, rate_hz), rate_hz),
        is_random=False,
    )
    speeds = [
        StressTest(
            f"speed {speed}",
            "speed",
            "resampled: pitch and tempo",
            play(speed),
            is_random=False,
        )
        for speed in (0.9, 1.1)
    ]
    return [*gains, silence, *speeds]


TESTS = (
    *_make_small_tests(),
    *_make_background_tests(),
    *_make_interference_tests(),
    *_make_length_tests(),
    *_make_channel_tests(),
    *_make_level_and_time_tests(),
)
"""All tests, in the order of ``GROUPS``."""
