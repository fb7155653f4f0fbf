"""Timelines with a model whose answer is known: segments, times, averages, and memory."""

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf

from emovox.audio.selection import Selection
from emovox.audio.waveform import Waveform
from emovox.errors import AudioError
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import Prediction
from emovox.recognition.timeline import (
    iterate_hops,
    merge_segments,
    place_windows,
    score_turn,
    smooth_hops,
)

RATE_HZ = 8_000
Samples = npt.NDArray[np.float32]


class StubDetector:
    """Says that there is speech where samples are far from zero, in a second at a time."""

    def has_speech(self, waveform: Waveform) -> bool:
        return bool(np.abs(waveform.samples).max() > 0.1)

    def iterate_probabilities(self, blocks: Iterator[Samples], rate_hz: int) -> Iterator[Samples]:
        n_frame = round(0.032 * rate_hz)
        held = np.empty(0, np.float32)
        for block in [*blocks] if isinstance(blocks, list) else blocks:
            held = np.concatenate([held, block])
            n = len(held) // n_frame * n_frame
            if n:
                yield self.rate(held[:n].reshape(-1, n_frame))
            held = held[n:]
        if len(held):
            yield self.rate(held[np.newaxis])

    @staticmethod
    def rate(frames: Samples) -> Samples:
        return np.asarray(np.abs(frames).max(axis=1) > 0.1, np.float32)


@pytest.fixture
def recognizer(loudness_model: Path) -> Recognizer:
    found = Recognizer.load(loudness_model, vad=False)
    found.detector = StubDetector()  # type: ignore[assignment]
    return found


def make_square(seconds: float, amplitude: float) -> Samples:
    """Make a square wave, of which every window has the same loudness."""
    return np.float32(amplitude) * np.tile([1, 1, -1, -1], round(seconds * RATE_HZ / 4)).astype(
        "f4"
    )


def pause(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def follow(recognizer: Recognizer, *parts: Samples, **options: Any) -> list[Prediction]:
    samples = np.concatenate(parts)
    found = list(recognizer.timeline(samples, rate_hz=RATE_HZ, **options))
    assert found[0].start_s == 0
    assert found[-1].end_s == len(samples) / RATE_HZ
    for one, next_one in zip(found, found[1:], strict=False):
        assert one.end_s == next_one.start_s
    return found


def outline(segments: list[Prediction]) -> list[tuple[float, float, str]]:
    return [
        (round(s.start_s, 3), round(s.end_s, 3), str(s.emotion or s.abstained)) for s in segments
    ]


def test_a_timeline_has_speech_and_pauses(recognizer: Recognizer) -> None:
    found = follow(recognizer, pause(2), make_square(2, 0.8), pause(3), make_square(1, 0.2))
    # Frames of 32 ms, padded by 30 ms: 1.984 - 0.030, 4.0 + 0.030, 6.976 - 0.030.
    assert outline(found) == [
        (0.0, 1.954, "no speech"),
        (1.954, 4.03, "loud"),
        (4.03, 6.946, "no speech"),
        (6.946, 8.0, "quiet"),
    ]
    assert found[0].scores is None
    assert found[1].confidence == pytest.approx(0.8 * 2 / 2.076, abs=1e-3)


def test_long_speech_changes_its_emotion(recognizer: Recognizer) -> None:
    found = follow(recognizer, make_square(6, 0.2), make_square(6, 0.9))
    (first, second) = found
    assert (first.emotion, second.emotion) == ("quiet", "loud")
    assert first.end_s == pytest.approx(6, abs=0.5)
    hops = follow(recognizer, make_square(6, 0.2), make_square(6, 0.9), merge=False)
    assert [hop.end_s - hop.start_s for hop in hops] == pytest.approx([1] * 12)
    louds = [hop.scores["loud"] for hop in hops if hop.scores]
    assert louds[:3] == pytest.approx([0.2] * 3, abs=1e-4)
    assert louds[-3:] == pytest.approx([0.9] * 3, abs=1e-4)
    assert louds == sorted(louds)


def test_segments_average_their_hops(recognizer: Recognizer) -> None:
    parts = make_square(5, 0.6), make_square(5.3, 0.9)
    (segment,) = follow(recognizer, *parts)
    hops = follow(recognizer, *parts, merge=False)
    weights = [hop.end_s - hop.start_s for hop in hops]
    louds = [hop.scores["loud"] for hop in hops if hop.scores]
    assert segment.confidence == pytest.approx(np.average(louds, weights=weights))
    assert segment.scores is not None
    assert sum(segment.scores.values()) == pytest.approx(1)
    assert list(merge_segments(hops)) == [segment]


def test_half_a_second_of_speech_is_needed(recognizer: Recognizer) -> None:
    found = follow(recognizer, pause(1), make_square(0.4, 0.8), pause(1))
    assert [s.abstained for s in found] == ["no speech", "too short", "no speech"]
    assert found[1].scores is not None
    assert found[1].emotion is None


def test_below_the_threshold_speech_is_uncertain(loudness_model: Path) -> None:
    recognizer = Recognizer.load(loudness_model, vad=False, min_confidence=0.7)
    found = follow(recognizer, make_square(6, 0.6), make_square(6, 0.9))
    assert [s.emotion or s.abstained for s in found] == ["uncertain", "loud"]
    assert found[0].confidence is not None
    assert found[0].confidence < 0.7


@pytest.mark.parametrize("n_samples", [1, 10, 256, 257, 1_999])
def test_what_is_shorter_than_speech_has_none(recognizer: Recognizer, n_samples: int) -> None:
    (found,) = follow(recognizer, make_square(1, 0.8)[:n_samples])
    assert (found.abstained, found.scores) == ("no speech", None)


def test_silence_of_minutes_is_one_segment(recognizer: Recognizer) -> None:
    (found,) = follow(recognizer, pause(200))
    assert (found.start_s, found.end_s, found.abstained) == (0.0, 200.0, "no speech")


@pytest.mark.parametrize("seconds", [59.9, 60.0, 61.0, 75.2, 130.0])
def test_speech_of_minutes_is_one_segment(loudness_model: Path, seconds: float) -> None:
    recognizer = Recognizer.load(loudness_model, vad=False)
    (found,) = follow(recognizer, make_square(seconds, 0.8))
    assert found.emotion == "loud"
    assert found.confidence == pytest.approx(0.8, abs=1e-4)


def test_segments_arrive_before_the_end_is_read(recognizer: Recognizer) -> None:
    read = 0

    def iterate_blocks() -> Iterator[Samples]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield np.concatenate([make_square(1, 0.8), pause(1)])

    hops = iterate_hops(recognizer, iterate_blocks(), Selection(1, (1,)), None)
    assert next(hops).emotion == "loud"
    assert read <= 2


def test_damage_is_reported_when_it_is_reached(recognizer: Recognizer, tmp_path: Path) -> None:
    samples = np.concatenate([make_square(10, 0.8), pause(200)])
    samples[-1] = np.nan
    sf.write(tmp_path / "a.wav", samples, RATE_HZ, subtype="FLOAT")
    found = recognizer.timeline(tmp_path / "a.wav")
    assert next(found).emotion == "loud"
    with pytest.raises(AudioError, match=r"a\.wav: holds NaN"):
        list(found)


def test_a_timeline_has_a_limit_of_its_own(recognizer: Recognizer) -> None:
    assert len(follow(recognizer, make_square(301, 0.8))) == 1
    with pytest.raises(AudioError, match=r"lasts 2\.00 s, expected at most 1 s"):
        follow(recognizer, make_square(2, 0.8), max_duration_s=1)


def test_each_channel_has_its_timeline(recognizer: Recognizer) -> None:
    left = np.concatenate([make_square(2, 0.8), pause(2)])
    right = np.concatenate([pause(2), make_square(2, 0.2)])
    stereo = np.stack([left, right], axis=1)
    found = list(recognizer.timeline(stereo, rate_hz=RATE_HZ, channel="each"))
    assert [(s.channel, s.emotion or s.abstained) for s in found] == [
        (1, "loud"),
        (1, "no speech"),
        (2, "no speech"),
        (2, "quiet"),
    ]
    assert found == [
        *recognizer.timeline(stereo, rate_hz=RATE_HZ, channel=1),
        *recognizer.timeline(stereo, rate_hz=RATE_HZ, channel="right"),
    ]


def test_segments_are_predictions_and_survive_json(recognizer: Recognizer, tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.concatenate([make_square(2, 0.8), pause(2)]), RATE_HZ)
    for segment in recognizer.timeline(tmp_path / "a.wav"):
        assert segment.file == str(tmp_path / "a.wav")
        assert Prediction.from_dict(json.loads(json.dumps(segment.to_dict()))) == segment


@pytest.mark.parametrize(
    ("seconds", "edges_s"),
    [
        (0.4, [0, 0.4]),
        (1.5, [0, 1.5]),
        (1.6, [0, 1, 1.6]),
        (3.0, [0, 1, 2, 3.0]),
        (4.4, [0, 1, 2, 3, 4.4]),
    ],
)
def test_hops_last_a_second(seconds: float, edges_s: list[float]) -> None:
    waveform = Waveform(make_square(seconds, 0.5), RATE_HZ)
    found, scores = score_turn(lambda _: np.array([0.25, 0.75]), waveform)
    assert found.tolist() == pytest.approx(edges_s)
    assert scores == pytest.approx(np.tile([0.25, 0.75], (len(edges_s) - 1, 1)))


def test_windows_count_by_how_long_they_overlap() -> None:
    windows: list[float] = []

    def score(window: Waveform) -> npt.NDArray[np.float64]:
        windows.append(window.duration_s)
        one_hot: npt.NDArray[np.float64] = np.eye(3)[len(windows) - 1]
        return one_hot

    _, scores = score_turn(score, Waveform(make_square(4.5, 0.5), RATE_HZ))
    assert windows == [3, 3]  # at 0 and 1.5 s
    assert scores == pytest.approx(
        np.array([[1, 0, 0], [2 / 3, 1 / 3, 0], [0.5, 0.5, 0], [0, 1, 0]])
    )


def test_windows_cover_a_turn() -> None:
    starts_s, window_s = place_windows(3.75)
    assert (starts_s.tolist(), window_s) == ([0], 3.75)
    for duration_s in (3.76, 5.25, 5.26, 9.0, 59.9):
        starts_s, window_s = place_windows(duration_s)
        assert window_s == 3
        assert starts_s[0] == 0
        assert starts_s[-1] + window_s == pytest.approx(duration_s)
        gaps_s = np.diff(starts_s)
        assert gaps_s[:-1] == pytest.approx(1.5)
        assert 0.75 < gaps_s[-1] <= 2.25


def test_smoothing_keeps_sums_and_constants() -> None:
    scores = np.random.default_rng(0).dirichlet(np.ones(4), 9)
    assert smooth_hops(scores).sum(axis=1) == pytest.approx(np.ones(9))
    assert smooth_hops(scores[:1]) == pytest.approx(scores[:1])
    spike = smooth_hops(np.eye(3)[[0, 0, 1, 0, 0]])
    assert spike[:, 1].tolist() == [0, 0.25, 0.5, 0.25, 0]


def measure_peak(recognizer: Recognizer, minutes: int) -> int:
    """Return the most memory that Python's objects take while a made recording is followed."""
    second = np.concatenate([make_square(0.7, 0.8), pause(0.3)])
    long_pause = pause(1)

    def iterate_blocks() -> Iterator[Samples]:
        for at in range(60 * minutes):
            yield (second if at % 100 < 60 else long_pause).copy()

    tracemalloc.start()
    try:
        hops = iterate_hops(recognizer, iterate_blocks(), Selection(1, (1,)), None)
        assert sum(1 for _ in merge_segments(hops)) >= minutes
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_duration(recognizer: Recognizer) -> None:
    measure_peak(recognizer, 1)  # imports
    short, long = measure_peak(recognizer, 2), measure_peak(recognizer, 20)
    assert long < short + 2**20  # the samples of 20 minutes take 38 MB


def test_a_prediction_of_windows_says_how_many(loudness_model: Path) -> None:
    recognizer = Recognizer.load(loudness_model, vad=False)
    short = recognizer.predict(make_square(6, 0.8), rate_hz=RATE_HZ)
    assert short.notes == ()
    long = recognizer.predict(np.concatenate([make_square(9, 0.8), pause(9)]), rate_hz=RATE_HZ)
    assert long.notes == (
        "averaged over 2 windows (2 without speech left out); 'emovox timeline' shows how the "
        "emotion changes",
    )
