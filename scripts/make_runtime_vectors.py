"""Write the golden vectors of docs/runtime.md: ``python scripts/make_runtime_vectors.py``.

Programs in other languages follow that page, and compare with `tests/golden/runtime.json`. Run it
again after a change of a rule, and for the section `timeline` after a change of the bundled model.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emovox.audio.selection import Selection
from emovox.audio.waveform import Waveform, resample
from emovox.files import write_text
from emovox.recognition.classify import make_prediction
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import Prediction
from emovox.recognition.rules import describe_rules
from emovox.recognition.speech_spans import Span, find_spans, join_turns
from emovox.recognition.timeline import merge_segments, place_windows, score_turn, smooth_hops
from emovox.recognition.voice_activity import RATE_HZ, remove_lows_of_chunks

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "runtime.json"
STEP = 997
SELECTION = Selection(1, (1,))

Samples = npt.NDArray[np.float32]
Case = dict[str, Any]

PARTS = {
    "conversation": {
        "duration_s": 47.3,
        "room": 0.001,
        "parts": [
            {"start_s": 1.0, "duration_s": 2.5, "pitch": 120.0, "gain": 1.0},
            {"start_s": 4.2, "duration_s": 5.5, "pitch": 210.0, "gain": 0.5},
            {"start_s": 13.0, "duration_s": 0.45, "pitch": 150.0, "gain": 1.0},
            {"start_s": 33.0, "duration_s": 12.0, "pitch": 180.0, "gain": 0.1},
        ],
    },
    "scream": {
        "duration_s": 4.0,
        "room": 0.001,
        "parts": [{"start_s": 0.5, "duration_s": 3.0, "pitch": 420.0, "gain": 1.0}],
    },
    "offset and rumble": {
        "duration_s": 12.0,
        "room": 0.01,
        "parts": [{"start_s": 0.0, "duration_s": 3.0, "pitch": 30.0, "gain": 2.0}],
    },
    "silence": {"duration_s": 1.0, "room": 0.0, "parts": []},
    "room": {"duration_s": 3.21, "room": 0.01, "parts": []},
}


def make_noise(n_samples: int, seed: int = 1) -> npt.NDArray[np.float64]:
    """Make uniform noise in [-1, 1), float64 ``(samples,)``, with a generator of one line."""
    values = np.empty(n_samples)
    for i in range(n_samples):
        seed = (1_664_525 * seed + 1_013_904_223) % 2**32
        values[i] = seed / 2**31 - 1
    return values


def make_voice(n_samples: int, rate_hz: int, pitch_hz: float) -> npt.NDArray[np.float64]:
    """Make a voice that Silero VAD takes for one, float64 ``(samples,)``."""
    t = np.arange(n_samples) / rate_hz
    turn = 2 * np.pi
    pitch = pitch_hz * (1 + 0.15 * np.sin(turn * 0.7 * t))
    phase = turn * pitch_hz * t - 0.15 * pitch_hz / 0.7 * (np.cos(turn * 0.7 * t) - 1)
    formants = (
        (500 + 200 * np.sin(turn * 1.3 * t), 80, 1),
        (1_500 + 400 * np.sin(turn * 0.9 * t), 120, 0.5),
        (2_500, 160, 0.25),
    )
    total = np.zeros(n_samples)
    for k in range(1, 31):
        gain = sum(
            weight / (1 + ((k * pitch - centre) / width) ** 2) for centre, width, weight in formants
        )
        total += gain * np.sin(k * phase)
    voice: npt.NDArray[np.float64] = 0.1 * np.clip(0.6 + 0.9 * np.sin(turn * 4 * t), 0, 1) * total
    return voice


@lru_cache
def make_signal(name: str, rate_hz: int = RATE_HZ) -> Samples:
    """Make one of the signals in ``PARTS``, float32 ``(samples,)``."""
    signal: dict[str, Any] = PARTS[name]
    samples = signal["room"] * make_noise(round(signal["duration_s"] * rate_hz))
    for part in signal["parts"]:
        n, first = round(part["duration_s"] * rate_hz), round(part["start_s"] * rate_hz)
        samples[first : first + n] += part["gain"] * make_voice(n, rate_hz, part["pitch"])
    made: Samples = samples.astype(np.float32)
    return made


def make_vectors(recognizer: Recognizer) -> dict[str, Any]:
    """Return the contents of the golden file."""
    return {
        "rules": describe_rules(),
        "signals": section(1e-6, make_signals()),
        "resampled": section(1e-3, make_resampled()),
        "without_lows": section(1e-3, make_without_lows()),
        "probabilities": section(0.03, make_probabilities(recognizer)),
        "spans": section(1e-6, make_spans()),
        "turns": section(1e-6, make_turns()),
        "windows": section(1e-6, make_windows()),
        "hops": section(1e-6, make_hops()),
        "predictions": section(1e-6, make_predictions(recognizer)),
        "segments": section(1e-6, make_segments()),
        "timeline": section(0.01, make_timelines(recognizer)),
    }


def section(tolerance: float, cases: list[Case]) -> dict[str, Any]:
    """Return one section of the golden file."""
    return {"tolerance": tolerance, "cases": cases}


def case(name: str, given: Any, expected: Any) -> Case:
    """Return one case."""
    return {"name": name, "input": given, "expected": expected}


def pick(samples: Samples) -> list[float]:
    """Return every 997th sample."""
    return [float(value) for value in to_list(samples[::STEP])]


def to_list(values: Any, digits: int = 7) -> Any:
    """Return an array as rounded lists."""
    return np.round(np.asarray(values, np.float64), digits).tolist()


def make_signals() -> list[Case]:
    """Describe the signals."""
    return [
        case(name, {"rate_hz": RATE_HZ, **PARTS[name]}, pick(make_signal(name))) for name in PARTS
    ]


def make_resampled() -> list[Case]:
    """Resample from rates of devices."""
    cases = []
    for rate_hz in (8_000, 22_050, 44_100, 48_000):
        samples = resample(make_signal("scream", rate_hz), rate_hz, RATE_HZ)
        given = {"signal": "scream", "rate_hz": rate_hz}
        cases.append(case(f"{rate_hz} Hz", given, {"n": len(samples), "samples": pick(samples)}))
    return cases


def make_without_lows() -> list[Case]:
    """Remove what lies below 64 Hz."""
    cases = []
    for name in ("offset and rumble", "room"):
        chunks = list(remove_lows_of_chunks([make_signal(name) + np.float32(0.2)]))
        given = {"signal": name, "plus": 0.2}
        cases.append(case(name, given, pick(np.concatenate(chunks))))
    return cases


def make_probabilities(recognizer: Recognizer) -> list[Case]:
    """Find speech with and without a second look, after silence, and at two levels."""
    detector = recognizer.detector
    if detector is None:
        raise ValueError("the recogniser has no speech detector")
    cases = []
    for name in PARTS:
        blocks = detector.iterate_probabilities([make_signal(name)], RATE_HZ)
        cases.append(case(name, {"signal": name}, to_list(np.concatenate(list(blocks)), 4)))
    return cases


def make_spans() -> list[Case]:
    """Find spans in made probabilities."""
    rng = np.random.default_rng(0)
    walk = np.clip(0.6 + np.cumsum(rng.normal(0, 0.12, 900)) % 0.8 - 0.35, 0, 1)
    made = {
        "nothing": [0.0] * 40,
        "all speech": [0.9] * 40,
        "hysteresis": [0.1] * 20 + [0.8] * 10 + [0.6] * 10 + [0.5] * 3 + [0.6] * 2 + [0.1] * 20,
        "too short": [0.1] * 20 + [0.8] * 7 + [0.1] * 20,
        "early": [0.1] * 3 + [0.8] * 20 + [0.1] * 20,
        "speech at the end": [0.1] * 20 + [0.8] * 9,
        "more than a minute": [0.1] * 5 + [0.8] * 1_700 + [0.56] + [0.8] * 700 + [0.1] * 9,
        "random": to_list(walk, 3),
    }
    cases = []
    for name, probabilities in made.items():
        end_s = len(probabilities) * 0.032 - 0.01
        spans = find_spans([np.array(probabilities, np.float64)], partial(float, end_s))
        cases.append(
            case(
                name,
                {"probabilities": probabilities, "end_s": round(end_s, 6)},
                join_pauses(list(spans)),
            )
        )
    return cases


def join_pauses(spans: list[Span]) -> list[Any]:
    """Return spans as lists, consecutive pauses as one."""
    joined: list[Span] = []
    for span in spans:
        if joined and not span.speech_s and not joined[-1].speech_s:
            joined[-1] = Span(joined[-1].start_s, span.end_s, 0.0)
        else:
            joined.append(span)
    return [to_list(list(asdict(span).values())) for span in joined]


def make_turns() -> list[Case]:
    """Join spans to turns."""
    made: dict[str, list[tuple[float, float, float]]] = {
        "short pauses": [
            (0, 1, 0),
            (1, 2, 1),
            (2, 2.3, 0),
            (2.3, 4, 1.7),
            (4, 4.49, 0),
            (4.49, 5, 1),
        ],
        "long pause": [(0, 1, 1), (1, 1.5, 0), (1.5, 2, 0.5), (2, 9, 0)],
        "no speech": [(0, 3, 0)],
        "a minute": [(0, 40, 40), (40, 40.2, 0), (40.2, 60, 19.8), (60, 60.3, 0), (60.3, 61, 0.7)],
    }
    cases = []
    for name, spans in made.items():
        turns = list(join_turns([Span(*map(float, span)) for span in spans]))
        cases.append(case(name, [list(span) for span in spans], join_pauses(turns)))
    return cases


def make_windows() -> list[Case]:
    """Place windows and hops over turns."""
    cases = []
    for duration_s in (0.3, 1.49, 1.5, 1.51, 3.0, 3.7, 3.75, 3.8, 5.25, 5.3, 7.123, 60.0):
        samples = np.zeros(round(duration_s * RATE_HZ), np.float32)
        edges_s, _ = score_turn(lambda _: np.ones(1), Waveform(samples, RATE_HZ))
        starts_s, window_s = place_windows(duration_s)
        found = {"starts_s": to_list(starts_s), "window_s": window_s, "edges_s": to_list(edges_s)}
        cases.append(case(f"{duration_s} s", {"duration_s": duration_s}, found))
    return cases


def make_hops() -> list[Case]:
    """Score hops by windows, smoothed."""
    rng = np.random.default_rng(1)
    cases = []
    for duration_s in (2.0, 4.0, 7.3, 11.8):
        windows = rng.dirichlet(np.ones(3), len(place_windows(duration_s)[0])).round(4)
        waiting = iter(windows)
        samples = np.zeros(round(duration_s * RATE_HZ), np.float32)
        _, hops = score_turn(partial(take_next, waiting), Waveform(samples, RATE_HZ))
        given = {"duration_s": duration_s, "windows": windows.tolist()}
        cases.append(case(f"{duration_s} s", given, to_list(smooth_hops(hops))))
    return cases


def take_next(waiting: Iterator[Any], _: Waveform) -> Any:
    """Return the next probabilities, whatever the window."""
    return next(waiting)


def make_predictions(recognizer: Recognizer) -> list[Case]:
    """Turn scores into predictions, or abstain."""
    labels = recognizer.info.labels
    cases = []
    for name, best, speech_s, threshold in (
        ("confident", 0.7, 2.0, 0.5),
        ("at the threshold", 0.5, 2.0, 0.5),
        ("uncertain", 0.4, 2.0, 0.5),
        ("too short", 0.7, 0.59, 0.5),
        ("too short before uncertain", 0.4, 0.59, 0.5),
        ("long enough", 0.7, 0.6, 0.5),
    ):
        scores = np.full(len(labels), (1 - best) / (len(labels) - 1))
        scores[2] = best
        with_threshold = Recognizer(recognizer.model, min_confidence=threshold)
        found = make_prediction(with_threshold, (0, 1), scores, speech_s, SELECTION, None)
        given = {
            "labels": list(labels),
            "scores": scores.tolist(),
            "speech_s": speech_s,
            "min_confidence": threshold,
        }
        cases.append(case(name, given, describe(found)))
    return cases


def make_segments() -> list[Case]:
    """Merge predictions."""
    hops = [
        (0.0, 1.0, None, "no speech", None),
        (1.0, 1.5, None, "no speech", None),
        (1.5, 2.5, "calm", None, (0.6, 0.4)),
        (2.5, 4.0, "calm", None, (0.9, 0.1)),
        (4.0, 5.0, None, "uncertain", (0.5, 0.5)),
        (5.0, 6.0, "angry", None, (0.2, 0.8)),
        (6.0, 6.5, None, "no speech", None),
        (6.5, 7.0, "angry", None, (0.3, 0.7)),
    ]
    predictions = [
        Prediction(
            file=None,
            start_s=start_s,
            end_s=end_s,
            emotion=emotion,
            confidence=None if scores is None else max(scores),
            scores=None if scores is None else dict(zip(("calm", "angry"), scores, strict=True)),
            abstained=abstained,
        )
        for start_s, end_s, emotion, abstained, scores in hops
    ]
    given = [describe(prediction) for prediction in predictions]
    return [case("all kinds", given, [describe(s) for s in merge_segments(predictions)])]


def make_timelines(recognizer: Recognizer) -> list[Case]:
    """Follow whole signals with the bundled model."""
    cases = []
    for name in ("conversation", "scream", "room"):
        segments = recognizer.timeline(make_signal(name), rate_hz=RATE_HZ)
        cases.append(case(name, {"signal": name}, [describe(segment) for segment in segments]))
    return cases


def describe(prediction: Prediction) -> dict[str, Any]:
    """Return what a golden file holds of a prediction."""
    return {
        "start_s": round(prediction.start_s, 6),
        "end_s": round(prediction.end_s, 6),
        "emotion": prediction.emotion,
        "abstained": prediction.abstained,
        "scores": None if prediction.scores is None else to_list([*prediction.scores.values()], 6),
    }


if __name__ == "__main__":
    vectors = make_vectors(Recognizer.load())
    GOLDEN.parent.mkdir(exist_ok=True)
    parts = [f'"{name}": {json.dumps(value)}' for name, value in vectors.items()]
    write_text(GOLDEN, "{\n" + ",\n".join(parts) + "\n}\n")
