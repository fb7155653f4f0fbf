"""Codecs: speech encoded and decoded in memory by FFmpeg, and a poor telephone line."""

from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import numpy as np
import soxr

from emovox.perturbations.levels import Samples, filter_highpass, match_level, measure_rms
from emovox.perturbations.noises import make_coloured_noise

PHONE_RATE_HZ = 8_000


@dataclass(frozen=True, slots=True)
class Codec:
    """A speech codec of FFmpeg, and its uncompensated delay.

    Attributes:
        encoder: FFmpeg's name of the encoder.
        decoder: FFmpeg's name of the decoder.
        rate_hz: Sampling rate of the codec.
        sample_format: The encoder's input format: ``"s16"``, ``"flt"`` or ``"fltp"``.
        delay_samples: Delay of the decoded speech in samples at ``rate_hz``.
    """

    encoder: str
    decoder: str
    rate_hz: int
    sample_format: str
    delay_samples: int = 0


MP3 = Codec("libmp3lame", "mp3float", 16_000, "fltp")
OPUS = Codec("libopus", "libopus", 16_000, "flt")
# The encoder has a look-ahead of 5 ms, which AMR files do not record.
AMR_NB = Codec("libopencore_amrnb", "amrnb", PHONE_RATE_HZ, "s16", delay_samples=40)
G711_MU_LAW = Codec("pcm_mulaw", "pcm_mulaw", PHONE_RATE_HZ, "s16")


def code_samples(samples: Samples, rate_hz: int, codec: Codec, bit_rate: int = 0) -> Samples:
    """Encode and decode speech.

    Args:
        samples: Float32 ``(samples,)``; values beyond full scale are clipped, as in files.
        rate_hz: Sampling rate in Hz.
        codec: The codec; speech is resampled to its rate and back.
        bit_rate: Bit rate in bits per second; 0 for codecs with a fixed bit rate.

    Returns:
        Float32 ``(samples,)`` at ``rate_hz``, of the same length and with the delay compensated.

    Examples:
        >>> code_samples(np.zeros(16_000, np.float32), 16_000, MP3, 16_000).shape
        (16000,)
    """
    packets, decoder = _encode(_resample(samples, rate_hz, codec.rate_hz), codec, bit_rate)
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    frames += decoder.decode(None)
    decoded = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    if decoded.dtype == np.int16:
        decoded = decoded.astype(np.float32) / 32_768
    decoded_rate_hz = frames[0].sample_rate
    late = codec.delay_samples * decoded_rate_hz // codec.rate_hz
    return _fit_length(_resample(decoded[late:], decoded_rate_hz, rate_hz), len(samples))


def simulate_phone(samples: Samples, rate_hz: int, generator: np.random.Generator) -> Samples:
    """Simulate a poor telephone line, as defined by ser-tests.

    Steps: normalise the peak to full scale; compress dynamics (above -20 dB to 0.8 of the range,
    below it 4 dB louder; attack 10 ms, release 20 ms); AMR narrow band at 7.4 kbit/s, which
    removes everything above 4 kHz; add pink noise at -25 dB, high-passed at 3 kHz (order 2);
    restore the original level.

    Args:
        samples: Float32 ``(samples,)``.
        rate_hz: Sampling rate in Hz, above 8,000.
        generator: Source of randomness for the noise.

    Returns:
        Float32 ``(samples,)``.

    Examples:
        >>> silence = np.zeros(16_000, np.float32)
        >>> simulate_phone(silence, 16_000, np.random.default_rng(0)).any()
        np.False_
    """
    rms = measure_rms(samples)
    if rms == 0:
        return samples
    narrow = _resample(samples, rate_hz, PHONE_RATE_HZ)
    narrow = compress_dynamics(narrow / np.abs(narrow).max(), PHONE_RATE_HZ)
    wide = code_samples(_resample(narrow, PHONE_RATE_HZ, rate_hz), rate_hz, AMR_NB, 7_400)
    wide = _fit_length(wide, len(samples)) / np.float32(np.abs(wide).max())
    noise = make_coloured_noise(len(samples), rate_hz, generator, slope_db=-3)
    noise = filter_highpass(noise * np.float32(10 ** (-25 / 20)), rate_hz, 3_000, order=2)
    return match_level(wide + noise, rms)


def compress_dynamics(samples: Samples, rate_hz: int) -> Samples:
    """Compress the dynamic range like ser-tests, with FFmpeg's port of SoX's ``compand``.

    Args:
        samples: Float32 ``(samples,)``.
        rate_hz: Sampling rate in Hz.

    Returns:
        Float32 ``(samples,)``, clipped at full scale: levels below -20 dB become 4 dB louder, and
        the range from -20 to 0 dB is mapped to -16 to 0 dB.

    Examples:
        >>> round(float(compress_dynamics(np.full(8_000, 0.01, np.float32), 8_000)[-1]), 4)
        0.0158
    """
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        format="flt", sample_rate=rate_hz, layout="mono", time_base=Fraction(1, rate_hz)
    )
    settings = "attacks=0.01:decays=0.02:soft-knee=4:points=-20/-16|0/0:delay=0"
    compand, sink = graph.add("compand", settings), graph.add("abuffersink")
    source.link_to(compand)
    compand.link_to(sink)
    graph.configure()
    graph.push(_make_frame(samples, rate_hz, "flt"))
    graph.push(None)
    blocks: list[Samples] = []
    while True:
        try:
            frame = graph.pull()
        except (av.error.EOFError, av.error.BlockingIOError):
            break
        blocks.append(np.asarray(frame.to_ndarray()[0], np.float32))
    return np.clip(_fit_length(np.concatenate(blocks), len(samples)), -1, 1)


def _encode(
    samples: Samples, codec: Codec, bit_rate: int
) -> "tuple[list[av.Packet[av.AudioStream]], av.AudioCodecContext]":
    """Return the encoded packets and a matching decoder."""
    encoder = cast(av.AudioCodecContext, av.CodecContext.create(codec.encoder, "w"))
    encoder.sample_rate, encoder.layout, encoder.format = codec.rate_hz, "mono", codec.sample_format
    if bit_rate:
        encoder.bit_rate = bit_rate
    encoder.open()
    size = encoder.frame_size or len(samples)
    packets = []
    for start in range(0, len(samples), size):
        block = samples[start : start + size]
        packets += encoder.encode(_make_frame(block, codec.rate_hz, codec.sample_format))
    packets += encoder.encode(None)
    decoder = cast(av.AudioCodecContext, av.CodecContext.create(codec.decoder, "r"))
    decoder.sample_rate, decoder.layout = codec.rate_hz, "mono"
    if encoder.extradata:
        decoder.extradata = encoder.extradata
    return packets, decoder


def _make_frame(samples: Samples, rate_hz: int, sample_format: str) -> av.AudioFrame:
    """Return samples as an FFmpeg frame; integer formats are clipped at full scale."""
    values = samples
    if sample_format == "s16":
        values = np.round(np.clip(samples, -1, 32_767 / 32_768) * 32_768).astype(np.int16)
    values = np.ascontiguousarray(values)[np.newaxis]  # (1, samples)
    frame = av.AudioFrame.from_ndarray(values, format=sample_format, layout="mono")
    frame.sample_rate = rate_hz
    return frame


def _resample(samples: Samples, found_rate_hz: int, rate_hz: int) -> Samples:
    """Resample ``(samples,)`` with soxr at quality HQ."""
    if found_rate_hz == rate_hz:
        return samples
    resampled: Samples = soxr.resample(samples, found_rate_hz, rate_hz, "HQ")
    return resampled


def _fit_length(samples: Samples, n_samples: int) -> Samples:
    """Cut a codec's padding at the end, or pad samples lost in resampling."""
    return np.pad(samples[:n_samples], (0, max(0, n_samples - len(samples))))
