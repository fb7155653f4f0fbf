"""The recogniser: any recording to its emotion, by a model file."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from emovox.audio.folders import list_audio_files
from emovox.audio.load import (
    MAX_DURATION_S,
    Waveform,
    load_audio,
    waveform_from_array,
)
from emovox.errors import AudioError, EmovoxError, ModelFileError
from emovox.recognition.model_file import (
    INPUT_NAME,
    OUTPUT_NAME,
    ModelFile,
    ModelInfo,
    find_default_model,
    open_model,
)
from emovox.recognition.results import FileFailure, Prediction
from emovox.recognition.voice_activity import SpeechDetector
from emovox.recognition.windows import cut_windows

SILENCE_PEAK = 1e-4
"""Below this peak (-80 dBFS) a recording is taken for digital silence, in which nobody speaks."""

MIN_SPEECH_S = 0.1
"""Nothing shorter can hold a syllable, let alone an emotion."""


class Recognizer:
    """Hears which emotion is in a recording, and says how sure it is.

    Make one with :meth:`load`. It holds no state between predictions, and threads may share it.

    Args:
        model: An opened model file.
        detector: Decides whether anybody speaks; ``None`` looks for digital silence only.
        min_confidence: Below this probability of the best emotion the recogniser abstains; ``None``
            takes the threshold of the model file.
        max_duration_s: Longest recording taken, in seconds.

    Example:
        >>> recognizer = Recognizer.load()  # doctest: +SKIP
        >>> recognizer.predict("clip.wav").emotion  # doctest: +SKIP
        'happy'
    """

    def __init__(
        self,
        model: ModelFile,
        *,
        detector: SpeechDetector | None = None,
        min_confidence: float | None = None,
        max_duration_s: float = MAX_DURATION_S,
    ) -> None:
        if min_confidence is None:
            min_confidence = model.info.min_confidence
        if not 0 <= min_confidence <= 1:
            raise EmovoxError(f"min_confidence is {min_confidence}; expected 0 to 1")
        self.model = model
        self.detector = detector
        self.min_confidence = min_confidence
        self.max_duration_s = max_duration_s

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        *,
        threads: int = 1,
        vad: bool = True,
        min_confidence: float | None = None,
        max_duration_s: float = MAX_DURATION_S,
    ) -> "Recognizer":
        """Load a model file.

        Args:
            path: A ``model.onnx``; ``None``: the model that comes with the package.
            threads: CPU threads for one prediction.
            vad: Ask a voice-activity detector first whether anybody speaks; without it only
                digital silence is "no speech", and music gets an emotion.
            min_confidence: Below this probability of the best emotion the recogniser abstains;
                ``None`` takes the threshold of the model file, 0 never abstains for that.
            max_duration_s: Longest recording taken, in seconds.

        Returns:
            A recogniser ready to use.

        Raises:
            ModelFileError: The file is missing, damaged, or contradicts itself.
        """
        model = open_model(path or find_default_model(), threads=threads)
        return cls(
            model,
            detector=SpeechDetector(threads=threads) if vad else None,
            min_confidence=min_confidence,
            max_duration_s=max_duration_s,
        )

    @property
    def info(self) -> ModelInfo:
        """What the model file says about itself."""
        return self.model.info

    def predict(self, source: str | Path | bytes | BinaryIO) -> Prediction:
        """Predict the emotion of one recording.

        Args:
            source: Path, encoded bytes, or binary file object.

        Returns:
            The prediction for the whole recording.

        Raises:
            AudioError: The recording cannot be used; the message says why.
        """
        waveform = load_audio(source, self.info.sample_rate_hz, max_duration_s=self.max_duration_s)
        file = str(source) if isinstance(source, str | Path) else None
        return self.classify(waveform, file)

    def predict_waveform(self, samples: npt.ArrayLike, rate_hz: int) -> Prediction:
        """Predict the emotion of samples.

        Args:
            samples: ``(samples,)`` or ``(samples, channels)``; floats in [-1, 1] or integers.
            rate_hz: Their sampling rate; resampled where the model takes another.

        Returns:
            The prediction for all of them, with ``file`` None.

        Raises:
            AudioError: Wrong shape, no samples, or values that are no audio.
        """
        waveform = waveform_from_array(
            samples,
            rate_hz,
            target_rate_hz=self.info.sample_rate_hz,
            max_duration_s=self.max_duration_s,
        )
        return self.classify(waveform, None)

    def predict_files(
        self, files: Iterable[str | Path], *, jobs: int = 1
    ) -> Iterator[Prediction | FileFailure]:
        """Predict many recordings, one after the other in their order.

        Args:
            files: Paths; they are taken as they are needed.
            jobs: How many to work on at the same time.

        Yields:
            A prediction per file, or a failure that says what is wrong with it; the rest go on.

        Raises:
            EmovoxError: ``jobs`` is under 1.
        """
        if jobs < 1:
            raise EmovoxError(f"jobs is {jobs}; expected at least 1")
        remaining = iter(files)
        if jobs == 1:
            yield from map(self.predict_or_explain, remaining)
            return
        with ThreadPoolExecutor(jobs) as pool:
            # A window of waiting files, not all of them: a folder may hold a million.
            waiting = [pool.submit(self.predict_or_explain, f) for f in islice(remaining, 4 * jobs)]
            try:
                while waiting:
                    yield waiting.pop(0).result()
                    following = islice(remaining, 1)
                    waiting += [pool.submit(self.predict_or_explain, f) for f in following]
            finally:
                # Whoever stops reading, or presses Ctrl-C, waits for the running files only.
                pool.shutdown(wait=False, cancel_futures=True)

    def predict_folder(
        self, folder: str | Path, *, jobs: int = 1
    ) -> Iterator[Prediction | FileFailure]:
        """Predict every audio file in a folder and the folders in it, in the order of their paths.

        Args:
            folder: Where to look.
            jobs: How many files to work on at the same time.

        Returns:
            An iterator as of :meth:`predict_files`.

        Raises:
            AudioError: There is no such folder, or no audio file in it.
        """
        return self.predict_files(list_audio_files(folder), jobs=jobs)

    def predict_or_explain(self, file: str | Path) -> Prediction | FileFailure:
        """Predict one file, or say in one line why that is not possible."""
        try:
            return self.predict(file)
        except AudioError as error:
            return FileFailure(str(file), str(error))

    def hears_speech(self, waveform: Waveform) -> bool:
        """Return whether a recording is worth asking for an emotion."""
        peak = float(np.abs(waveform.samples).max())
        if peak < SILENCE_PEAK or waveform.duration_s < MIN_SPEECH_S:
            return False
        return self.detector is None or self.detector.has_speech(waveform)

    def run_model(self, waveform: Waveform) -> npt.NDArray[np.float64]:
        """Return the model's probabilities ``(classes,)`` for a waveform at its own rate.

        Raises:
            ModelFileError: The model's answer is no probabilities.
        """
        batch = waveform.samples[np.newaxis]  # (1, samples)
        (output,) = self.model.session.run([OUTPUT_NAME], {INPUT_NAME: batch})
        probabilities = np.asarray(output[0], dtype=np.float64)
        if not (np.isfinite(probabilities).all() and probabilities.sum() > 0):
            raise ModelFileError(
                f"{self.info.name}: the model answers {probabilities.tolist()}, expected "
                "probabilities; its weights are damaged: train or export it again"
            )
        normalized: npt.NDArray[np.float64] = probabilities / probabilities.sum()
        return normalized

    def classify(self, waveform: Waveform, file: str | None) -> Prediction:
        """Run the model on a waveform at the model's own rate.

        A recording over :data:`MAX_WINDOW_S` is answered by the mean over its windows with speech.

        Raises:
            ModelFileError: The model's answer is no probabilities.
        """
        labels = self.info.labels
        spoken = [window for window in cut_windows(waveform) if self.hears_speech(window)]
        nobody_speaks = not spoken
        if nobody_speaks:
            probabilities = np.full(len(labels), 1 / len(labels))
        else:
            probabilities = np.mean([self.run_model(window) for window in spoken], axis=0)
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        abstained = None
        if nobody_speaks:
            abstained = "no speech"
        elif confidence < self.min_confidence:
            abstained = "uncertain"
        return Prediction(
            file=file,
            start_s=0.0,
            end_s=waveform.duration_s,
            emotion=None if abstained else labels[best],
            confidence=confidence,
            scores=dict(zip(labels, probabilities.tolist(), strict=True)),
            abstained=abstained,
        )
