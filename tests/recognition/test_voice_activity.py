"""Whether anybody speaks: made signals, in which nobody does, and real speech."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from emovox.audio.load import load_audio
from emovox.audio.waveform import Waveform, resample
from emovox.errors import AudioError
from emovox.recognition.voice_activity import FRAME_SAMPLES, RATE_HZ, SpeechDetector, set_level

Samples = npt.NDArray[np.float32]

TIME_S = np.arange(3 * RATE_HZ) / RATE_HZ
MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11, 12)


@pytest.fixture(scope="module")
def detector() -> SpeechDetector:
    return SpeechDetector()


def make_noise(slope: float) -> npt.NDArray[np.float64]:
    """Make 3 s of noise whose amplitude falls with the frequency to this power; peak 1."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(TIME_S.size))
    frequency_hz = np.fft.rfftfreq(TIME_S.size, 1 / RATE_HZ)
    frequency_hz[0] = frequency_hz[1]
    noise = np.fft.irfft(spectrum / frequency_hz**slope, TIME_S.size)
    return np.asarray(noise / np.abs(noise).max())


def make_note(key: int, duration_s: float, partials: tuple[float, ...], decay: float) -> Samples:
    """Make one note of a MIDI key, its partials below the Nyquist frequency, struck or held."""
    time_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    pitch_hz = 440 * 2 ** ((key - 69) / 12)
    wave = sum(
        amplitude * np.sin(2 * np.pi * number * pitch_hz * time_s)
        for number, amplitude in enumerate(partials, 1)
        if number * pitch_hz < RATE_HZ / 2
    )
    edges = np.minimum(1, np.minimum(time_s / 0.02, (duration_s - time_s) / 0.05))
    return np.asarray(wave * edges * np.exp(-decay * time_s) / sum(partials), np.float32)


def make_melody(lowest: int, partials: tuple[float, ...], decay: float = 0) -> Samples:
    return np.concatenate([make_note(lowest + step, 0.35, partials, decay) for step in MAJOR_SCALE])


def make_chord(keys: tuple[int, ...], duration_s: float = 3) -> Samples:
    notes = [make_note(key, duration_s, (1, 0.5, 0.3, 0.2, 0.1), 0) for key in keys]
    return np.asarray(np.mean(notes, axis=0), np.float32)


def make_dtmf() -> Samples:
    """Dial six digits: two tones each, 0.2 s long, with 0.1 s between."""
    digits_hz = [(697, 1209), (697, 1336), (770, 1477), (852, 1209), (941, 1336), (770, 1336)]
    time_s = TIME_S[: RATE_HZ // 5]
    parts = [
        np.pad(sum(np.sin(2 * np.pi * f * time_s) for f in pair) / 2, (0, RATE_HZ // 10))
        for pair in digits_hz
    ]
    return np.concatenate(parts).astype(np.float32)


def make_signals() -> Iterator[tuple[str, npt.NDArray[np.floating]]]:
    """Make what may reach a microphone when nobody speaks."""
    sine = np.sin(2 * np.pi * np.outer([50, 100, 220, 440, 1_000, 3_000, 6_000], TIME_S))
    yield "silence", np.zeros(TIME_S.size)
    yield "constant", np.full(TIME_S.size, 0.5)
    yield "dither", np.random.default_rng(0).uniform(-1, 1, TIME_S.size) / 32_768
    for name, slope in (("white", 0), ("pink", 0.5), ("brown", 1), ("blue", -0.5)):
        for peak in (0.9, 0.05, 0.002):
            yield f"{name} noise, peak {peak}", peak * make_noise(slope)
        for rate_hz in (2, 4, 8):
            swell = (1 + np.sin(2 * np.pi * rate_hz * TIME_S)) / 2
            yield f"{name} noise at {rate_hz} Hz", 0.5 * swell * make_noise(slope)
    for frequency_hz, tone in zip((50, 100, 220, 440, 1_000, 3_000, 6_000), sine, strict=True):
        yield f"tone of {frequency_hz} Hz", 0.5 * tone
    for mains_hz in (50, 60):
        hum = [np.sin(2 * np.pi * mains_hz * k * TIME_S) / k for k in range(1, 8)]
        yield f"hum of {mains_hz} Hz", 0.3 * np.sum(hum, axis=0)
    yield "major chord", 0.5 * make_chord((48, 60, 64, 67))
    chords = ((48, 60, 64, 67), (45, 57, 60, 64), (53, 57, 60, 65), (43, 59, 62, 67))
    yield "chord progression", np.concatenate([make_chord(keys, 0.9) for keys in chords])
    for name, partials, decay in (
        ("whistled", (1.0,), 0),
        ("organ", (1.0, 0.5, 0.3, 0.2, 0.15, 0.1), 0),
        ("plucked", (1.0, 0.6, 0.4, 0.3, 0.2), 6),
        ("sawtooth", tuple(1 / k for k in range(1, 25)), 0),
    ):
        for lowest in (48, 60, 72):
            yield f"{name} scale from {lowest}", make_melody(lowest, partials, decay)
    clicks = np.zeros(TIME_S.size)
    clicks[:: RATE_HZ // 4] = 0.9
    yield "clicks", clicks
    yield "thumps", 0.8 * sine[0] * np.exp(-12 * (TIME_S % 0.5))
    yield "sweep", 0.5 * np.sin(2 * np.pi * (50 + 1_240 * TIME_S) * TIME_S)
    yield "siren", 0.5 * np.sin(2 * np.pi * 800 * TIME_S + 250 * np.sin(np.pi * TIME_S))
    yield "dial tones", 0.8 * make_dtmf()
    yield "ringing", 0.4 * sine[3] * (TIME_S % 1.5 < 1)


@pytest.mark.parametrize(
    ("name", "samples"),
    list(make_signals()),
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_nobody_speaks_in_a_made_signal(
    detector: SpeechDetector, name: str, samples: npt.NDArray[np.floating]
) -> None:
    waveform = Waveform(samples.astype(np.float32), RATE_HZ)
    assert not detector.has_speech(waveform), name


def test_a_made_signal_at_another_rate_is_resampled(detector: SpeechDetector) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000).astype(np.float32)
    assert not detector.has_speech(Waveform(tone, 48_000))
    assert detector.find_probabilities(Waveform(tone, 48_000)).shape == (32,)


@pytest.mark.parametrize(("n_samples", "n_frames"), [(1, 1), (512, 1), (513, 2), (16_385, 33)])
def test_each_frame_begun_has_a_probability(
    detector: SpeechDetector, n_samples: int, n_frames: int
) -> None:
    samples = make_noise(0)[:n_samples].astype(np.float32)
    probabilities = detector.find_probabilities(Waveform(samples, RATE_HZ))
    assert probabilities.shape == (n_frames,)
    assert probabilities.dtype == np.float32
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_too_few_samples_to_resample_are_refused(detector: SpeechDetector) -> None:
    with pytest.raises(AudioError, match="too few to resample"):
        detector.has_speech(Waveform(np.ones(1, np.float32), 48_000))


def test_the_level_is_an_rms_of_a_tenth() -> None:
    loud = set_level(make_noise(0).astype(np.float32))
    assert np.sqrt(np.mean(loud.astype(np.float64) ** 2)) == pytest.approx(0.1, rel=1e-6)
    assert set_level(np.zeros(4, np.float32)).tolist() == [0, 0, 0, 0]


@pytest.fixture(scope="module")
def spoken(ravdess: Path) -> list[Waveform]:
    """Return a calm and a screaming clip, and a Polish one."""
    speech = ravdess / "ravdess" / "speech"
    paths = [
        speech / "Actor_14" / "03-01-02-01-01-01-14.flac",
        speech / "Actor_18" / "03-01-05-02-02-01-18.flac",
        ravdess / "nemo" / "samples" / "EB0_fear_67.opus",
    ]
    return [load_audio(path, RATE_HZ) for path in paths]


@pytest.mark.corpus
def test_speech_is_heard_whatever_its_level(
    detector: SpeechDetector, spoken: list[Waveform]
) -> None:
    for waveform in spoken:
        for gain in (1, 0.01, 3):
            louder = Waveform(np.float32(gain) * waveform.samples, RATE_HZ)
            assert detector.has_speech(louder)


@pytest.mark.corpus
def test_speech_is_heard_in_noise_and_amid_silence(
    detector: SpeechDetector, spoken: list[Waveform]
) -> None:
    noise = make_noise(0)
    calm = spoken[0].samples[: noise.size]
    noise *= np.sqrt(np.mean(calm.astype(np.float64) ** 2) / np.mean(noise**2))
    assert detector.has_speech(Waveform((calm + noise).astype(np.float32), RATE_HZ))
    amid = np.pad(calm, 5 * RATE_HZ)
    assert detector.has_speech(Waveform(amid, RATE_HZ))


@pytest.mark.corpus
def test_only_speech_frames_are_probable(detector: SpeechDetector, spoken: list[Waveform]) -> None:
    # A second of silence stands before and after each sentence.
    probabilities = detector.find_probabilities(spoken[0])
    assert probabilities.max() > 0.99
    assert probabilities[: RATE_HZ // 2 // FRAME_SAMPLES].max() < 0.1


@pytest.mark.corpus
def test_a_scream_needs_the_second_look(detector: SpeechDetector, spoken: list[Waveform]) -> None:
    scream = spoken[1]
    assert detector.find_probabilities(scream).max() < 0.7
    assert detector.has_speech(scream)
    slow = Waveform(resample(scream.samples, RATE_HZ, 24_000), RATE_HZ)
    assert detector.find_probabilities(slow).max() > 0.7
