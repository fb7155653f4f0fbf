"""Codecs in memory: as long as before, in time with it, and as damaged as they should be."""

from pathlib import Path

import numpy as np
import pytest

from emovox.audio.load import load_audio
from emovox.perturbations import codecs
from emovox.perturbations.babble import make_voice
from emovox.perturbations.codecs import AMR_NB, G711_MU_LAW, MP3, OPUS, Codec
from emovox.perturbations.levels import Samples, filter_highpass, measure_rms


def make_speechlike(rate_hz: int, n_samples: int) -> Samples:
    """Return a voice: codecs for speech bend anything else."""
    return 0.5 * make_voice(n_samples, rate_hz, np.random.default_rng(3))


def find_lag(before: Samples, after: Samples) -> int:
    """Return by how many samples the second is late."""
    size = 2 * len(before)
    spectrum = np.fft.rfft(after, size) * np.conj(np.fft.rfft(before, size))
    lag = int(np.fft.irfft(spectrum, size).argmax())
    return lag - size if lag > len(before) else lag


CODECS = [
    pytest.param(MP3, 32_000, 0.95, id="mp3-32"),
    pytest.param(MP3, 16_000, 0.95, id="mp3-16"),
    pytest.param(OPUS, 12_000, 0.85, id="opus-12"),
    pytest.param(OPUS, 6_000, 0.7, id="opus-6"),
    pytest.param(AMR_NB, 7_400, 0.4, id="amr"),
    pytest.param(G711_MU_LAW, 0, 0.99, id="g711"),
]


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
@pytest.mark.parametrize(("codec", "bit_rate", "likeness"), CODECS)
def test_a_codec_keeps_length_and_time(
    codec: Codec, bit_rate: int, likeness: float, rate_hz: int
) -> None:
    speech = make_speechlike(rate_hz, rate_hz + 123)
    coded = codecs.code_samples(speech, rate_hz, codec, bit_rate)
    assert coded.shape == speech.shape
    assert coded.dtype == np.float32
    # Half a millisecond: low rates bend the phase. AMR's own delay would be five.
    assert abs(find_lag(speech, coded)) <= rate_hz // 2_000
    assert np.corrcoef(speech, coded)[0, 1] > likeness
    assert not np.array_equal(speech, coded)


@pytest.mark.parametrize(("codec", "bit_rate"), [(MP3, 16_000), (OPUS, 6_000), (AMR_NB, 7_400)])
@pytest.mark.parametrize("n_samples", [1, 100, 2_000])
def test_a_codec_takes_the_shortest_recordings(codec: Codec, bit_rate: int, n_samples: int) -> None:
    samples = np.full(n_samples, 0.1, np.float32)
    assert codecs.code_samples(samples, 16_000, codec, bit_rate).shape == (n_samples,)


def test_g711_quantises_as_mu_law_does() -> None:
    """A value of the standard's tables: the step at half scale is 1024 of 32768."""
    samples = np.full(800, 0.5, np.float32)
    coded = codecs.code_samples(samples, 8_000, G711_MU_LAW)
    assert abs(coded - 0.5).max() <= 512 / 32_768
    assert len(np.unique(coded)) == 1


def test_coding_twice_gives_the_same() -> None:
    speech = make_speechlike(16_000, 8_000)
    for codec, bit_rate in ((MP3, 16_000), (OPUS, 6_000), (AMR_NB, 7_400)):
        first = codecs.code_samples(speech, 16_000, codec, bit_rate)
        np.testing.assert_array_equal(first, codecs.code_samples(speech, 16_000, codec, bit_rate))


@pytest.mark.parametrize(("level_db", "gain_db"), [(-40, 4), (-30, 4), (-10, 2), (0, 0)])
def test_compression_follows_its_curve(level_db: float, gain_db: float) -> None:
    """A steady level, whose envelope is known: 0.8 dB a dB above -20 dB, and 4 dB more below."""
    steady = np.full(8_000, 10 ** (level_db / 20), np.float32)
    compressed = codecs.compress_dynamics(steady, 8_000)
    assert len(compressed) == 8_000
    assert 20 * np.log10(compressed[-1] / steady[-1]) == pytest.approx(gain_db, abs=0.05)


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_a_phone_keeps_level_and_time_and_cuts_the_band(rate_hz: int) -> None:
    speech = make_speechlike(rate_hz, rate_hz)
    speech += 0.02 * np.sin(2 * np.pi * 6_000 * np.arange(rate_hz) / rate_hz).astype(np.float32)
    heard = codecs.simulate_phone(speech, rate_hz, np.random.default_rng(0))
    assert heard.shape == speech.shape
    assert heard.dtype == np.float32
    assert measure_rms(heard) == pytest.approx(measure_rms(speech), rel=0.01)
    assert abs(find_lag(speech, heard)) <= rate_hz // 2_000
    spectrum = np.abs(np.fft.rfft(heard)), np.abs(np.fft.rfft(speech))
    assert spectrum[0][6_000] < 0.1 * spectrum[1][6_000]
    # Above the band there is only the line's own noise.
    assert measure_rms(filter_highpass(heard, rate_hz, 5_000, order=2)) > 1e-4


def test_a_phone_carries_silence() -> None:
    silence = np.zeros(1_000, np.float32)
    heard = codecs.simulate_phone(silence, 16_000, np.random.default_rng(0))
    np.testing.assert_array_equal(heard, silence)


@pytest.mark.parametrize(("codec", "bit_rate"), [(MP3, 16_000), (OPUS, 6_000), (AMR_NB, 7_400)])
def test_recorded_speech_stays_in_time(reference_clips: Path, codec: Codec, bit_rate: int) -> None:
    path = reference_clips / "Actor_01" / "03-01-05-02-01-01-01.opus"
    speech = load_audio(path, 16_000).samples
    coded = codecs.code_samples(speech, 16_000, codec, bit_rate)
    assert abs(find_lag(speech, coded)) <= 1
    assert np.corrcoef(speech, coded)[0, 1] > 0.7
