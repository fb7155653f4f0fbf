"""Compute what a model's head sees of labelled clips, with the decoder and windows of users."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from emovox.adapt.graph import MIN_PROBABILITY, HeadTensors, expose_head
from emovox.adapt.head import Features
from emovox.audio.recording import open_recording
from emovox.corpora.clips import Clip
from emovox.errors import EmovoxError
from emovox.evaluation.metrics import FloatArray
from emovox.progress import Watcher
from emovox.recognition.classify import TOO_SHORT_S
from emovox.recognition.model_file import INPUT_NAME, OUTPUT_NAME
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.session import open_session, run_session
from emovox.recognition.windows import average_windows, measure_powers, measure_speech


@dataclass(frozen=True, slots=True)
class ComputedClips:
    """Clips with what the base model computes of them, and those that cannot be used.

    Attributes:
        clips: The clips with enough speech.
        inputs: Inputs of the head, float64 ``(clips, features)``.
        hidden: Its last hidden layer, float64 ``(clips, units)``.
        probabilities: The model's probabilities, float64 ``(clips, base classes)``.
        unusable: Name of each other clip, and what is wrong with it.
    """

    clips: list[Clip]
    inputs: FloatArray
    hidden: FloatArray
    probabilities: FloatArray
    unusable: list[tuple[str, str]]

    def make_features(self, shared: FloatArray) -> Features:
        """Return the features of the clips, with scores for new labels.

        Args:
            shared: As ``share_labels`` returns it.
        """
        logs = np.log(np.maximum(self.probabilities, MIN_PROBABILITY))
        return Features(self.inputs, self.hidden, logs @ shared)


def share_labels(base: Sequence[str], labels: Sequence[str]) -> FloatArray:
    """Return a matrix from a base's log-probabilities to the scores of new labels.

    Args:
        base: Labels of the base model.
        labels: The new labels.

    Returns:
        float64 ``(base classes, classes)``. Scores of labels that the base knows are its
        log-probabilities minus their mean over these labels; others are 0, the average.

    Examples:
        >>> share_labels(["sad", "calm", "angry"], ["angry", "bored", "sad"]).tolist()
        [[-0.5, 0.0, 0.5], [0.0, 0.0, 0.0], [0.5, 0.0, -0.5]]
    """
    known = [label for label in labels if label in base]
    matrix = np.zeros((len(base), len(labels)))
    for label in known:
        at = labels.index(label)
        matrix[base.index(label), at] += 1
        for other in known:
            matrix[base.index(other), at] -= 1 / len(known)
    return matrix


def compute_clips(
    recognizer: Recognizer,
    proto: onnx.ModelProto,
    tensors: HeadTensors,
    clips: Sequence[Clip],
    *,
    jobs: int = 1,
    watcher: Watcher | None = None,
) -> ComputedClips:
    """Run a base model on clips.

    Args:
        recognizer: A recogniser of the base model.
        proto: The base model's network.
        tensors: Where its head is.
        clips: Labelled clips.
        jobs: Number of clips to process in parallel.
        watcher: Receives progress updates.
    """
    watcher = watcher or Watcher()
    session = open_session(expose_head(proto, tensors))
    outputs = [OUTPUT_NAME, tensors.inputs, *filter(None, [tensors.hidden])]

    def compute(clip: Clip) -> list[FloatArray] | str:
        try:
            return _compute_clip(recognizer, session, outputs, clip.path)
        except EmovoxError as error:
            return error.detail
        finally:
            watcher.end_clip()

    watcher.start_clips("clips", len(clips))
    with ThreadPoolExecutor(jobs) as pool:
        found = list(pool.map(compute, clips))
    rows = [row for row in found if not isinstance(row, str)]
    stacked = [np.stack(part) for part in zip(*rows, strict=True)] or [np.zeros((0, 1))] * 2
    return ComputedClips(
        [clip for clip, row in zip(clips, found, strict=True) if not isinstance(row, str)],
        stacked[1],
        stacked[2] if len(stacked) > 2 else np.zeros((len(rows), 0)),
        stacked[0],
        [(clip.name, row) for clip, row in zip(clips, found, strict=True) if isinstance(row, str)],
    )


def _compute_clip(
    recognizer: Recognizer, session: ort.InferenceSession, outputs: list[str], path: Path
) -> list[FloatArray]:
    """Return each output of one clip, averaged over its windows by the speech in each."""
    found: list[list[FloatArray]] = []
    powers = []
    with open_recording(path, max_duration_s=recognizer.max_duration_s) as recording:
        (selection,) = recognizer.select_sound(recording)
        for window in recognizer.cut_windows(recording, selection):
            if recognizer.has_speech(window):
                values = run_session(
                    session,
                    outputs,
                    {INPUT_NAME: window.samples[np.newaxis]},  # (1, samples)
                    name=recognizer.info.name,
                    duration_s=window.duration_s,
                )
                found.append([np.asarray(value, np.float64).ravel() for value in values])
                powers.append(measure_powers(window.samples, window.rate_hz))
    speech_s = measure_speech(powers) if powers else np.zeros(0)
    if speech_s.sum() < TOO_SHORT_S:
        raise EmovoxError(f"{speech_s.sum():.1f} s of speech; expected {TOO_SHORT_S} s or more")
    return [average_windows(list(part), speech_s) for part in zip(*found, strict=True)]
