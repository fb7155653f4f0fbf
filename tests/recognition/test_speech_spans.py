"""Where speech begins and ends: Silero's rules on made probabilities, and on sound."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from emovox.audio.load import load_audio
from emovox.demo.clips import read_demo_clips
from emovox.recognition.speech_spans import (
    FRAME_S,
    MAX_TURN_S,
    Span,
    find_probabilities,
    find_spans,
    join_turns,
)
from emovox.recognition.voice_activity import (
    RATE_HZ,
    SpeechDetector,
    cut_blocks,
)

Samples = npt.NDArray[np.float32]


def find(*runs: tuple[int, float], block: int = 7) -> list[Span]:
    """Find spans in runs of (frames, probability), which arrive in blocks of some frames."""
    frames = np.concatenate([np.full(n, p, np.float32) for n, p in runs])
    blocks = np.split(frames, range(block, len(frames), block))
    return list(find_spans(blocks, lambda: len(frames) * FRAME_S))


def list_speech(spans: list[Span]) -> list[tuple[float, float]]:
    return [(span.start_s, span.end_s) for span in spans if span.speech_s]


def check_contiguous(spans: list[Span], end_s: float) -> None:
    assert spans[0].start_s == 0
    assert spans[-1].end_s == end_s
    assert all(a.end_s == b.start_s for a, b in zip(spans, spans[1:], strict=False))
    assert all(span.end_s > span.start_s for span in spans)


def test_speech_is_padded_by_30_ms() -> None:
    spans = find((10, 0.0), (10, 0.9), (10, 0.0))
    assert list_speech(spans) == [(0.29, 0.67)]
    check_contiguous(spans, 30 * FRAME_S)
    assert spans[-1].speech_s == 0


@pytest.mark.parametrize("n_frames", [7, 8])
def test_a_quarter_of_a_second_is_needed(n_frames: int) -> None:
    # 7 frames are 224 ms, 8 are 256 ms.
    assert len(list_speech(find((10, 0.0), (n_frames, 0.9), (10, 0.0)))) == (n_frames == 8)
    assert len(list_speech(find((10, 0.0), (n_frames, 0.9)))) == (n_frames == 8)


@pytest.mark.parametrize(("n_quiet", "n_spans"), [(4, 1), (5, 2)])
def test_speech_ends_100_ms_after_the_first_quiet_frame(n_quiet: int, n_spans: int) -> None:
    # Silero compares the starts of frames: the fifth quiet one begins 128 ms after the first.
    spans = list_speech(find((10, 0.9), (n_quiet, 0.0), (10, 0.9)))
    assert len(spans) == n_spans


def test_speech_begins_above_one_threshold_and_ends_below_a_lower_one() -> None:
    assert list_speech(find((20, 0.4))) == []
    assert list_speech(find((10, 0.51), (20, 0.4), (10, 0.51))) == [(0.0, 40 * FRAME_S)]
    # Frames between the thresholds neither end speech nor resume it.
    (first, _) = list_speech(find((10, 0.9), (1, 0.3), (5, 0.4), (1, 0.3), (10, 0.9)))
    assert first == (0.0, 0.35)


def test_a_pause_too_short_to_end_speech_does_not_begin_a_recording() -> None:
    assert list_speech(find((4, 0.0), (10, 0.9)))[0][0] == 0.0
    assert list_speech(find((5, 0.0), (10, 0.9)))[0][0] == 0.13


def test_silence_is_passed_on_as_it_arrives() -> None:
    spans = find((100, 0.0), block=10)
    assert len(spans) == 11
    check_contiguous(spans, 100 * FRAME_S)
    assert not list_speech(spans)


@pytest.mark.parametrize("block", [1, 3, 50])
def test_blocks_do_not_matter(block: int) -> None:
    generator = np.random.default_rng(1)
    runs = [(int(generator.integers(1, 30)), float(generator.random())) for _ in range(60)]
    assert list_speech(find(*runs, block=block)) == list_speech(find(*runs))


def test_long_speech_is_cut_where_it_is_least_probable() -> None:
    n_frames = round(MAX_TURN_S / FRAME_S)
    spans = find((n_frames - 200, 0.9), (1, 0.6), (1_000, 0.9))
    cut_s = (n_frames - 199) * FRAME_S
    assert list_speech(spans) == [(0.0, cut_s), (cut_s, (n_frames + 801) * FRAME_S)]
    for n in range(n_frames - 3, n_frames + 20):
        assert all(span.speech_s for span in find((n, 1.0))), n


def test_short_pauses_are_part_of_a_turn() -> None:
    spans = [Span(0, 1, 1), Span(1, 1.4, 0), Span(1.4, 2, 0.6), Span(2, 2.2, 0), Span(2.2, 2.6, 0)]
    spans += [Span(2.6, 4, 1.4)]
    assert list(join_turns(spans)) == [
        Span(0, 2, 1.6),
        Span(2, 2.2, 0),
        Span(2.2, 2.6, 0),
        Span(2.6, 4, 1.4),
    ]
    assert list(join_turns(spans[:4])) == [Span(0, 2, 1.6), Span(2, 2.2, 0)]
    assert list(join_turns([])) == []


def test_turns_have_a_longest_duration() -> None:
    spans = [Span(0, 40, 40), Span(40, 40.2, 0), Span(40.2, 70, 29.8)]
    assert list(join_turns(spans)) == spans


def test_without_a_detector_all_but_digital_silence_is_speech() -> None:
    sound = 0.01 * np.random.default_rng(0).standard_normal(5 * 512).astype(np.float32)
    samples = np.concatenate([np.zeros(512, np.float32), sound, np.full(700, 0.5, np.float32)])
    (found,) = find_probabilities(None, cut(samples, 500), RATE_HZ)
    assert found.tolist() == [0, 1, 1, 1, 1, 1, 0, 0]  # an offset is no sound


def cut(samples: Samples, n: int) -> list[Samples]:
    return np.split(samples, range(n, len(samples), n))


def test_chunks_lose_no_sample() -> None:
    samples = np.arange(10, dtype=np.float32)
    for n in (1, 3, 10, 20):
        assert np.concatenate(list(cut_blocks(cut(samples, 4), n))).tolist() == samples.tolist()


@pytest.fixture(scope="module")
def detector() -> SpeechDetector:
    return SpeechDetector()


@pytest.fixture(scope="module")
def speech() -> Samples:
    (angry,) = (clip for clip in read_demo_clips() if clip.speaker == "1045")
    return load_audio(angry.path, RATE_HZ).samples


def test_speech_is_found_in_silence_at_any_level(detector: SpeechDetector, speech: Samples) -> None:
    noise = np.random.default_rng(0).standard_normal(12 * RATE_HZ).astype(np.float32)
    spoken = []
    for gain in (1, 0.01):
        samples = 1e-4 * noise
        samples[5 * RATE_HZ : 5 * RATE_HZ + len(speech)] += speech
        blocks = cut(np.float32(gain) * samples, 7_000)
        found = find_probabilities(detector, blocks, RATE_HZ)
        spans = list(find_spans(found, lambda: 12.0))
        check_contiguous(spans, 12.0)
        spoken.append(list_speech(spans))
    assert np.allclose(spoken[0], spoken[1], atol=0.1)
    assert spoken[0][0][0] >= 5
    assert spoken[0][-1][1] <= 5 + len(speech) / RATE_HZ + 0.1


@pytest.mark.parametrize("make", [np.zeros, lambda n: 0.3 * np.sin(np.arange(n) * 0.17)])
def test_there_is_no_speech_in_silence_or_a_tone(
    detector: SpeechDetector, make: Callable[[int], npt.NDArray[np.float64]]
) -> None:
    samples = make(21 * RATE_HZ).astype(np.float32)
    found = list(find_probabilities(detector, [samples], RATE_HZ))
    assert sum(map(len, found)) == -(-len(samples) // 512)
    assert not list_speech(list(find_spans(found, lambda: 21.0)))


def test_probabilities_do_not_depend_on_blocks_or_on_what_is_later(
    detector: SpeechDetector, speech: Samples
) -> None:
    whole = np.concatenate(list(detector.iterate_probabilities([speech], RATE_HZ)))
    blocks = cut(speech, 1_000)
    assert np.concatenate(list(detector.iterate_probabilities(blocks, RATE_HZ))).tolist() == (
        whole.tolist()
    )
    half = speech[: 40 * 512]
    (first, *_) = detector.iterate_probabilities([half], RATE_HZ)
    assert first.tolist() == whole[: len(first)].tolist()
    assert whole.max() > 0.9
