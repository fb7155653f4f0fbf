"""Run a model and the speech detector on waveforms: what predictions are made from."""

from typing import Any

import numpy as np
import numpy.typing as npt

from emovox.audio.limits import SILENCE_PEAK
from emovox.audio.waveform import Waveform, resample
from emovox.errors import ModelFileError
from emovox.recognition.model_file import (
    EMBEDDING_NAME,
    INPUT_NAME,
    OUTPUT_NAME,
    ModelFile,
    ModelInfo,
)
from emovox.recognition.session import run_session
from emovox.recognition.voice_activity import SpeechDetector

MIN_SPEECH_S = 0.1
"""Shorter recordings cannot contain a syllable, and count as no speech."""


class WaveformScorer:
    """Scores waveforms that are short enough for a single run of the model.

    Args:
        model: An open model file.
        detector: Speech detector; ``None`` detects digital silence only.
    """

    def __init__(self, model: ModelFile, detector: SpeechDetector | None) -> None:
        self.model = model
        self.detector = detector
        self._reference: dict[str, npt.NDArray[np.float32]] = {}

    @property
    def info(self) -> ModelInfo:
        """Metadata of the model file."""
        return self.model.info

    def has_speech(self, waveform: Waveform) -> bool:
        """Return whether speech is detected in a waveform of at most a few seconds.

        Without a detector, everything but digital silence counts as speech.

        Args:
            waveform: Recording at any sampling rate.
        """
        # Half the range, which is the peak without a constant offset.
        peak = float(np.ptp(waveform.samples)) / 2
        if peak < SILENCE_PEAK or waveform.duration_s < MIN_SPEECH_S:
            return False
        return self.detector is None or self.detector.has_speech(waveform)

    def score_waveform(self, waveform: Waveform) -> npt.NDArray[np.float64]:
        """Run the model once on a whole waveform, without speech detection, windows or threshold.

        Args:
            waveform: Recording at any sampling rate, short enough for a single model run.

        Returns:
            Probabilities of the emotions, float64 ``(classes,)``; they sum to 1.

        Raises:
            ModelFileError: The model fails, or returns no valid probabilities.
        """
        (output,) = self._run(waveform, [OUTPUT_NAME])
        return self._check_probabilities(output)

    def embed_waveform(
        self, waveform: Waveform
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
        """Run the model once on a whole waveform, like ``score_waveform``, and embed it.

        Args:
            waveform: Recording at any sampling rate, short enough for a single model run.

        Returns:
            Probabilities of the emotions, float64 ``(classes,)``; the encoder's embedding, float32
            ``(features,)``, which does not depend on the voice.

        Raises:
            ModelFileError: The model fails, has no embedding, or returns no valid numbers.
        """
        if not self.model.n_features:
            raise ModelFileError(
                f"the model {self.info.name!r} gives no embedding; expected one with an encoder "
                "that this version of emovox wrote: train or export it again",
                code="model.no_embedding",
                source=str(self.model.path),
            )
        output, embedded = self._run(waveform, [OUTPUT_NAME, EMBEDDING_NAME])
        embedding = np.asarray(embedded[0], dtype=np.float32)
        if not np.isfinite(embedding).all():
            raise ModelFileError(
                "the model returned an embedding that is not finite; its weights are damaged: "
                "train or export it again",
                code="model.damaged",
                source=self.info.name,
            )
        return self._check_probabilities(output), embedding

    def _run(self, waveform: Waveform, outputs: list[str]) -> list[Any]:
        """Run the model on a waveform, with the voice if there is one."""
        samples = resample(waveform.samples, waveform.rate_hz, self.info.sample_rate_hz)
        return run_session(
            self.model.session,
            outputs,
            {INPUT_NAME: samples[np.newaxis], **self._reference},  # (1, samples)
            name=self.info.name,
            duration_s=waveform.duration_s,
        )

    def _check_probabilities(self, output: Any) -> npt.NDArray[np.float64]:
        """Return the probabilities of a batch of one; refuse what is none."""
        probabilities = np.asarray(output[0], dtype=np.float64)
        if not (np.isfinite(probabilities).all() and probabilities.sum() > 0):
            raise ModelFileError(
                f"the model returned {probabilities.tolist()}, expected probabilities; its weights "
                "are damaged: train or export it again",
                code="model.damaged",
                source=self.info.name,
            )
        normalized: npt.NDArray[np.float64] = probabilities / probabilities.sum()
        return normalized
