"""Streams: the same whatever the chunks, and in the end the same as timelines."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from emovox.audio.load import load_audio
from emovox.demo.clips import read_demo_clips
from emovox.errors import AudioError, EmovoxError
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import Prediction
from emovox.recognition.stream import StreamingRecognizer, StreamUpdate

RATE_HZ = 8_000
Samples = npt.NDArray[np.float32]
Results = list[StreamUpdate | Prediction]


@pytest.fixture(scope="module")
def recognizer(loudness_model: Path) -> Recognizer:
    return Recognizer.load(loudness_model, vad=False)


def make_square(seconds: float, amplitude: float, rate_hz: int = RATE_HZ) -> Samples:
    wave = np.tile([1, 1, -1, -1], round(seconds * rate_hz / 4))
    return (amplitude * wave).astype("f4")


def pause(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def stream(
    recognizer: Recognizer,
    samples: npt.NDArray[Any],
    sizes: list[int] | int,
    rate_hz: int = RATE_HZ,
    **options: Any,
) -> Results:
    """Push samples in chunks of these sizes in turn."""
    sizes = [sizes] if isinstance(sizes, int) else sizes
    streaming = StreamingRecognizer(recognizer, rate_hz, **options)
    found: Results = []
    at = n = 0
    while at < len(samples):
        size = sizes[n % len(sizes)]
        found += streaming.push(samples[at : at + size])
        at, n = at + size, n + 1
    return found + streaming.finish()


def list_updates(results: Results) -> list[StreamUpdate]:
    return [result for result in results if isinstance(result, StreamUpdate)]


def list_segments(results: Results) -> list[Prediction]:
    return [result for result in results if isinstance(result, Prediction)]


def test_any_chunks_give_the_same_bit_for_bit(recognizer: Recognizer) -> None:
    samples = np.concatenate([pause(0.7), make_square(5.3, 0.8), pause(1), make_square(1.1, 0.2)])
    whole = stream(recognizer, samples, len(samples))
    assert len(list_updates(whole)) == 16
    for sizes in ([1], [79], [80], [1_000, 3, 0, 4_321]):
        assert stream(recognizer, samples, sizes) == whole


@pytest.mark.parametrize("rate_hz", [11_025, 22_050, 44_100, 48_000])
def test_any_rate_and_chunks_give_the_same(recognizer: Recognizer, rate_hz: int) -> None:
    rng = np.random.default_rng(0)
    samples = (0.3 * rng.standard_normal((3 * rate_hz, 2))).astype("f4")
    samples[rate_hz : 2 * rate_hz] = 0
    whole = stream(recognizer, samples, len(samples), rate_hz)
    assert stream(recognizer, samples, [1, 700, 4_093], rate_hz) == whole
    assert list_segments(whole)[-1].end_s == pytest.approx(3, abs=1e-3)


def test_real_speech_gives_the_same_with_the_speech_detector() -> None:
    recognizer = Recognizer.load()
    clips = [load_audio(clip.path, 16_000).samples for clip in read_demo_clips()[:3]]
    samples = np.concatenate([np.pad(clip, (0, 8_000)) for clip in clips])
    whole = stream(recognizer, samples, len(samples), 16_000)
    assert stream(recognizer, samples, [333, 5], 16_000) == whole
    segments = list_segments(whole)
    timeline = [*recognizer.timeline(samples, rate_hz=16_000)]
    assert [(s.start_s, s.end_s, s.emotion, s.abstained) for s in segments] == [
        (s.start_s, s.end_s, s.emotion, s.abstained) for s in timeline
    ]
    for one, other in zip(segments, timeline, strict=True):
        assert one.scores == (other.scores and pytest.approx(other.scores))


@pytest.mark.parametrize(
    "parts",
    [
        (make_square(0.4, 0.8),),
        (pause(2), make_square(3.7, 0.8), pause(3), make_square(3.8, 0.2)),
        (make_square(6, 0.2), make_square(6, 0.9), pause(0.3), make_square(9, 0.2)),
        (make_square(70, 0.8), pause(0.7), make_square(2, 0.2)),
        (pause(0.2), make_square(58, 0.8), pause(0.3), make_square(5, 0.8), pause(2)),
    ],
)
def test_segments_are_those_of_a_timeline(
    recognizer: Recognizer, parts: tuple[Samples, ...]
) -> None:
    samples = np.concatenate(parts)
    found = list_segments(stream(recognizer, samples, 800))
    expected = [*recognizer.timeline(samples, rate_hz=RATE_HZ)]
    assert [(s.start_s, s.end_s, s.emotion, s.abstained) for s in found] == [
        (s.start_s, s.end_s, s.emotion, s.abstained) for s in expected
    ]
    for one, other in zip(found, expected, strict=True):
        assert one.scores == (other.scores and pytest.approx(other.scores))


def test_segments_are_returned_before_their_turn_ends(recognizer: Recognizer) -> None:
    loud_then_quiet = [make_square(5, 0.9), pause(0.3), make_square(5, 0.1), pause(0.3)]
    streaming = StreamingRecognizer(recognizer, RATE_HZ)
    found = streaming.push(np.concatenate([*loud_then_quiet, *loud_then_quiet]))
    assert list_segments(found)[0].emotion == "loud"


def test_updates_show_what_is_spoken(recognizer: Recognizer) -> None:
    samples = np.concatenate([pause(1), make_square(4, 0.9), make_square(4, 0.1), pause(2)])
    updates = list_updates(stream(recognizer, samples, 80))
    assert [update.time_s for update in updates] == [0.5 * n for n in range(1, 23)]
    shown = {update.time_s: update.emotion or update.abstained for update in updates}
    assert (shown[0.5], shown[1.0], shown[1.5]) == ("no speech", "no speech", "too short")
    assert (shown[2.0], shown[5.0], shown[9.0], shown[11.0]) == (
        "loud",
        "loud",
        "quiet",
        "no speech",
    )
    levels_dbfs = {update.time_s: update.level_dbfs for update in updates}
    assert levels_dbfs[1.0] == -120
    assert levels_dbfs[3.0] == pytest.approx(20 * np.log10(0.9), abs=1e-3)
    scores = updates[5].scores
    assert scores is not None
    assert sum(scores.values()) == pytest.approx(1)
    assert updates[5].confidence == scores["loud"]


def test_below_the_threshold_updates_are_uncertain(loudness_model: Path) -> None:
    recognizer = Recognizer.load(loudness_model, vad=False, min_confidence=0.95)
    update = list_updates(stream(recognizer, make_square(2, 0.8), 80))[-1]
    assert (update.emotion, update.abstained) == (None, "uncertain")
    assert update.confidence == pytest.approx(0.8, abs=0.01)


def test_types_and_channels_are_those_of_arrays(recognizer: Recognizer) -> None:
    mono = make_square(2, 0.5)
    expected = stream(recognizer, mono, 100)
    assert stream(recognizer, (mono * 2**15).astype(np.int16), 100) == expected
    assert stream(recognizer, mono.astype(np.float64), 100) == expected
    stereo = np.stack([mono, mono], axis=1)
    assert stream(recognizer, stereo, 100) == expected
    one_side = np.stack([0 * mono, mono], axis=1)
    right = stream(recognizer, one_side, 1_000, channel="right")
    assert list_updates(right) == list_updates(expected)
    assert list_segments(right)[0].channel == 2


def test_the_array_may_be_used_again(recognizer: Recognizer) -> None:
    streaming = StreamingRecognizer(recognizer, RATE_HZ)
    buffer = make_square(0.005, 0.5)
    found: Results = []
    for _ in range(400):
        buffer[:] = make_square(0.005, 0.5)
        found += streaming.push(buffer)
        buffer[:] = 0
    assert found == list_updates(stream(recognizer, make_square(2, 0.5), 80))


def test_nothing_gives_nothing(recognizer: Recognizer) -> None:
    streaming = StreamingRecognizer(recognizer, RATE_HZ)
    assert streaming.push([]) == []
    assert streaming.finish() == []
    with pytest.raises(EmovoxError, match="the stream has ended") as caught:
        streaming.push([0.0])
    assert caught.value.code == "stream.finished"
    (segment,) = stream(recognizer, make_square(1, 0.5)[:1], 1)
    assert (segment.end_s if isinstance(segment, Prediction) else None) == 1 / RATE_HZ


@pytest.mark.parametrize(
    ("samples", "code"),
    [
        (np.array([0.1, np.nan] * 80, np.float32), "audio.not_finite"),
        (np.full(160, 3_000.0), "audio.bad_scale"),
        (np.zeros((2, 2, 2)), "audio.bad_array"),
        (np.array(["a"]), "audio.bad_array"),
        (np.zeros((160, 33), np.float32), "audio.bad_channels"),
        (np.zeros((160, 2), np.float32), "audio.bad_channels"),
    ],
)
def test_what_is_not_sound_is_refused(
    recognizer: Recognizer, samples: npt.NDArray[Any], code: str
) -> None:
    streaming = StreamingRecognizer(recognizer, RATE_HZ)
    streaming.push(np.zeros(160, np.float32))
    with pytest.raises(AudioError) as caught:
        streaming.push(samples)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "options", [{"hop_s": 0.01}, {"hop_s": 11}, {"channel": "each"}, {"channel": "centre"}]
)
def test_settings_are_checked(recognizer: Recognizer, options: dict[str, Any]) -> None:
    with pytest.raises(EmovoxError) as caught:
        StreamingRecognizer(recognizer, RATE_HZ, **options)
    assert caught.value.code == "setting.invalid"
    with pytest.raises(AudioError, match="rate of 999 Hz"):
        StreamingRecognizer(recognizer, 999)


def measure_peak(recognizer: Recognizer, minutes: int) -> int:
    """Return the most memory that Python's objects take while a stream runs."""
    second = np.concatenate([make_square(0.7, 0.8), pause(0.3)])
    streaming = StreamingRecognizer(recognizer, RATE_HZ)
    tracemalloc.start()
    try:
        for at in range(60 * minutes):
            streaming.push(second if at % 100 < 60 else pause(1))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_duration(recognizer: Recognizer) -> None:
    measure_peak(recognizer, 1)
    short, long = measure_peak(recognizer, 3), measure_peak(recognizer, 9)
    assert long < short + 2**20  # the samples of six minutes take 11 MB
