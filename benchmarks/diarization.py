"""Scores of emotion diarization: who felt what when, against the truth."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from conversations import Segment

FRAME_S = 0.1
COLLAR_S = 0.5
GRID_S = 0.001


@dataclass(frozen=True)
class Times:
    """Seconds of one recording, from which error rates are computed.

    Attributes:
        total_s: Duration.
        missed_s: An emotion, but none is predicted.
        false_alarm_s: An emotion is predicted in a pause.
        confused_s: Another emotion is predicted.
        n_true: True segments with an emotion.
        n_predicted: Predicted segments with an emotion.
        n_found: Pairs of both with the same emotion, and both ends within the collar.
        boundary_errors_s: Distance of each true change to the nearest predicted one.
        frames: True and predicted emotion of each frame of speech; -1 if none is predicted.
    """

    total_s: float
    missed_s: float
    false_alarm_s: float
    confused_s: float
    n_true: int
    n_predicted: int
    n_found: int
    boundary_errors_s: npt.NDArray[np.float64]
    frames: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """Scores of several recordings.

    Attributes:
        eder: Emotion diarization error rate, as in SpeechBrain (``speechbrain.utils.EDER``): the
            share of the duration whose emotion is wrong; pauses are their own class.
        missed: The part of it that is missed emotion.
        false_alarm: The part that is false alarm.
        confusion: The part that is confusion.
        frame_uar: Mean of the emotions' recalls over frames of 100 ms of speech.
        segment_f1: F1 of segments whose emotion and both ends (within 0.5 s) are right.
        boundary_error_s: Median distance of a true change to the nearest predicted one.
    """

    eder: float
    missed: float
    false_alarm: float
    confusion: float
    frame_uar: float
    segment_f1: float
    boundary_error_s: float


def measure_times(
    true: Sequence[Segment], predicted: Sequence[Segment], labels: Sequence[str]
) -> Times:
    """Compare the predicted with the true segments of one recording.

    Args:
        true: From 0 to the end, without gaps; ``None`` in pauses.
        predicted: The same; ``None`` wherever no emotion is predicted.
        labels: Names of the emotions.
    """
    end_s = true[-1][1]
    middles_s = np.arange(GRID_S / 2, end_s, GRID_S)
    one, other = label_times(true, middles_s, labels), label_times(predicted, middles_s, labels)
    at_frames = label_times(true, np.arange(FRAME_S / 2, end_s, FRAME_S), labels)
    found = label_times(predicted, np.arange(FRAME_S / 2, end_s, FRAME_S), labels)
    speech = at_frames >= 0
    emotions = [segment for segment in true if segment[2] is not None]
    guesses = [segment for segment in predicted if segment[2] is not None]
    changes_s = np.array([segment[0] for segment in true[1:]])
    predicted_s = np.array([segment[0] for segment in predicted[1:]] or [np.inf])
    errors_s = np.abs(changes_s[:, np.newaxis] - predicted_s).min(axis=1)
    return Times(
        total_s=end_s,
        missed_s=GRID_S * np.count_nonzero((one >= 0) & (other < 0)),
        false_alarm_s=GRID_S * np.count_nonzero((one < 0) & (other >= 0)),
        confused_s=GRID_S * np.count_nonzero((one >= 0) & (other >= 0) & (one != other)),
        n_true=len(emotions),
        n_predicted=len(guesses),
        n_found=count_found(emotions, guesses),
        boundary_errors_s=np.minimum(errors_s, end_s),
        frames=np.stack([at_frames[speech], found[speech]]),
    )


def label_times(
    segments: Sequence[Segment], times_s: npt.NDArray[np.float64], labels: Sequence[str]
) -> npt.NDArray[np.int64]:
    """Return the number of the emotion at each time, or -1."""
    starts_s = [segment[0] for segment in segments]
    numbers = np.array([-1 if s[2] is None else labels.index(s[2]) for s in segments])
    at = np.searchsorted(starts_s, times_s, side="right") - 1
    found: npt.NDArray[np.int64] = numbers[at.clip(0)]
    return found


def count_found(true: list[Segment], predicted: list[Segment]) -> int:
    """Count true segments that a predicted one matches; each is used once."""
    left = list(predicted)
    for start_s, end_s, emotion in true:
        for guess in left:
            near = max(abs(guess[0] - start_s), abs(guess[1] - end_s)) <= COLLAR_S
            if near and guess[2] == emotion:
                left.remove(guess)
                break
    return len(predicted) - len(left)


def score_times(times: Sequence[Times], n_labels: int) -> Scores:
    """Score several recordings together."""
    total_s = sum(t.total_s for t in times)
    missed, false_alarm, confusion = (
        sum(getattr(t, name) for t in times) / total_s
        for name in ("missed_s", "false_alarm_s", "confused_s")
    )
    true, predicted = np.concatenate([t.frames for t in times], axis=1)
    recalls = [np.mean(predicted[true == n] == n) for n in range(n_labels) if (true == n).any()]
    n_segments = sum(t.n_true + t.n_predicted for t in times)
    return Scores(
        eder=missed + false_alarm + confusion,
        missed=missed,
        false_alarm=false_alarm,
        confusion=confusion,
        frame_uar=float(np.mean(recalls)),
        segment_f1=2 * sum(t.n_found for t in times) / max(n_segments, 1),
        boundary_error_s=float(np.median(np.concatenate([t.boundary_errors_s for t in times]))),
    )


def draw_scores(
    systems: dict[str, list[Times]], n_labels: int, seed: int = 0, n_draws: int = 1_000
) -> dict[str, dict[str, npt.NDArray[np.float64]]]:
    """Draw recordings with replacement, the same for all systems, and score each draw.

    Returns:
        For each system and score, float64 ``(draws,)``.
    """
    generator = np.random.default_rng(seed)
    n = len(next(iter(systems.values())))
    draws = generator.integers(n, size=(n_draws, n))
    found: dict[str, dict[str, npt.NDArray[np.float64]]] = {}
    for name, times in systems.items():
        scores = [score_times([times[i] for i in draw], n_labels) for draw in draws]
        found[name] = {
            field.name: np.array([getattr(s, field.name) for s in scores])
            for field in fields(Scores)
        }
    return found
