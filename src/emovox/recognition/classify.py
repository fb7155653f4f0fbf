"""Turn the scores of windows into predictions: of a whole recording, or of a part of it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emovox.audio.selection import Selection
from emovox.audio.waveform import Waveform
from emovox.recognition.results import Prediction
from emovox.recognition.windows import average_windows, measure_powers, measure_speech

if TYPE_CHECKING:
    from emovox.recognition.recognizer import Recognizer

TOO_SHORT_S = 0.6
"""Recordings with less speech are not answered: the scores would be right less often than they
say (docs/confidence.md)."""


def classify_windows(
    recognizer: "Recognizer", windows: Iterable[Waveform], selection: Selection, file: str | None
) -> Prediction:
    """Predict a recording from the windows it is cut into, weighted by the speech in each.

    Args:
        recognizer: Runs the model and the speech detector.
        windows: The whole recording, at the model's rate.
        selection: The track and channels that the windows come from.
        file: Name of the recording.

    Returns:
        One prediction, from 0 to the end; a note says how many windows it averages, if several.
    """
    scores: list[npt.NDArray[np.float64]] = []
    powers: list[npt.NDArray[np.float64]] = []
    n_samples = n_windows = 0
    for window in windows:
        n_windows += 1
        n_samples += len(window.samples)
        if recognizer.has_speech(window):
            scores.append(recognizer.score_waveform(window))
            powers.append(measure_powers(window.samples, window.rate_hz))
    speech_s = measure_speech(powers) if scores else np.zeros(0)
    notes = selection.notes
    if len(scores) > 1:
        silent = n_windows - len(scores)
        left_out = f" ({silent} without speech left out)" if silent else ""
        notes += (
            f"averaged over {len(scores)} windows{left_out}; 'emovox timeline' shows how the "
            "emotion changes",
        )
    return make_prediction(
        recognizer,
        (0.0, n_samples / recognizer.info.sample_rate_hz),
        average_windows(scores, speech_s) if scores else None,
        float(speech_s.sum()),
        replace(selection, notes=notes),
        file,
    )


def make_prediction(
    recognizer: "Recognizer",
    times_s: tuple[float, float],
    probabilities: npt.NDArray[np.float64] | None,
    speech_s: float,
    selection: Selection,
    file: str | None,
) -> Prediction:
    """Make a prediction from probabilities, or abstain.

    Args:
        recognizer: Its labels and threshold are used.
        times_s: Start and end in seconds.
        probabilities: Probabilities of the emotions, float64 ``(classes,)``; ``None``: no speech.
        speech_s: Speech in seconds; with less than ``TOO_SHORT_S`` there is no emotion.
        selection: The channel, and notes about the choice of it.
        file: Name of the recording.
    """
    emotion, confidence, scores = None, None, None
    abstained: str | None = "no speech"
    if probabilities is not None:
        labels = recognizer.info.labels
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        scores = dict(zip(labels, probabilities.tolist(), strict=True))
        abstained = "uncertain" if confidence < recognizer.min_confidence else None
        if speech_s < TOO_SHORT_S:
            abstained = "too short"
        emotion = None if abstained else labels[best]
    return Prediction(
        file=file,
        start_s=times_s[0],
        end_s=times_s[1],
        emotion=emotion,
        confidence=confidence,
        scores=scores,
        abstained=abstained,
        channel=selection.channel,
        notes=selection.notes,
    )
