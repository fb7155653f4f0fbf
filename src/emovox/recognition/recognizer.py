"""The recogniser: any recording to its emotion, by a model file."""

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emovox.audio.folders import list_audio_files
from emovox.audio.load import MAX_DURATION_S, AudioSource, Waveform, load_source, resample
from emovox.audio.sources import name_source
from emovox.errors import EmovoxError, ModelFileError
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

_log = logging.getLogger(__name__)

SILENCE_PEAK = 1e-4
"""Below this peak (-80 dBFS) a recording is taken for digital silence, in which nobody speaks."""

MIN_SPEECH_S = 0.1
"""Nothing shorter can hold a syllable, let alone an emotion."""


class Recognizer:
    """Hears which emotion is in a recording, and says how sure it is.

    Make one with ``load``. It holds no state between predictions, and threads may share it.
    Pickled or copied, it opens its model file again, so process pools take it too.

    Args:
        model: An opened model file.
        detector: Decides whether anybody speaks; ``None`` looks for digital silence only.
        min_confidence: Below this probability of the best emotion the recogniser abstains; ``None``
            takes the threshold of the model file.
        max_duration_s: Longest recording taken, in seconds.

    Examples:
        >>> recognizer = Recognizer.load()
        >>> recognizer.predict("clip.opus").emotion
        'angry'
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

    def predict(self, source: AudioSource, *, rate_hz: int | None = None) -> Prediction:
        """Predict the emotion of one recording.

        Args:
            source: Path, encoded bytes, binary file object, ``Waveform``, or an array
                ``(samples,)`` or ``(samples, channels)``: floats in [-1, 1] or integers.
            rate_hz: Samples per second of an array, which needs it; other sources say it
                themselves. Any rate is resampled to the model's.

        Returns:
            The prediction for the whole recording; its ``file`` is ``None`` for anything but a
            path.

        Raises:
            AudioError: The recording cannot be used, an array comes without a rate, or anything
                else comes with one; the message says why.
            ModelFileError: The model fails, or gives no probabilities.
            TypeError: The source is none of these.
        """
        waveform = load_source(
            source,
            rate_hz,
            target_rate_hz=self.info.sample_rate_hz,
            max_duration_s=self.max_duration_s,
        )
        prediction = self._classify(waveform, name_file(source))
        answer = prediction.emotion or prediction.abstained
        _log.info("%s: %.2f s, %s", name_source(source), waveform.duration_s, answer)
        return prediction

    def predict_many(
        self, sources: Iterable[AudioSource | tuple[npt.ArrayLike, int]], *, jobs: int = 1
    ) -> Iterator[Prediction | FileFailure]:
        """Predict many recordings, in their order.

        Args:
            sources: What ``predict`` takes, in any mixture, and arrays as ``(samples,
                rate_hz)``; they are taken as they are needed.
            jobs: How many to work on at the same time.

        Yields:
            A prediction for each, or a failure that says what is wrong with it; the others go on.

        Raises:
            EmovoxError: ``jobs`` is under 1, or ``sources`` is a single recording.
        """
        if jobs < 1:
            raise EmovoxError(f"jobs is {jobs}; expected at least 1")
        if isinstance(sources, str | Path | bytes | np.ndarray | Waveform):
            raise EmovoxError(
                f"sources is {type(sources).__name__}; expected a list of recordings: use predict "
                "for a single one"
            )
        remaining = iter(sources)
        if jobs == 1:
            yield from map(self._predict_or_explain, remaining)
            return
        with ThreadPoolExecutor(jobs) as pool:
            # A window of waiting items, not all of them: a folder may hold a million.
            waiting = [
                pool.submit(self._predict_or_explain, s) for s in islice(remaining, 4 * jobs)
            ]
            try:
                while waiting:
                    yield waiting.pop(0).result()
                    following = islice(remaining, 1)
                    waiting += [pool.submit(self._predict_or_explain, s) for s in following]
            finally:
                # Whoever stops reading, or presses Ctrl-C, waits for the running items only.
                pool.shutdown(wait=False, cancel_futures=True)

    def predict_files(
        self, files: Iterable[str | Path], *, jobs: int = 1
    ) -> Iterator[Prediction | FileFailure]:
        """Predict many files: ``predict_many`` by a narrower name."""
        return self.predict_many(files, jobs=jobs)

    def predict_folder(
        self, folder: str | Path, *, jobs: int = 1
    ) -> Iterator[Prediction | FileFailure]:
        """Predict every audio file in a folder and the folders in it.

        Args:
            folder: Where to look.
            jobs: How many files to work on at the same time.

        Returns:
            An iterator as of ``predict_many``: a folder's own files first, ``clip_2`` before
            ``clip_10``.

        Raises:
            AudioError: There is no such folder, or no audio file in it.
        """
        return self.predict_many(list_audio_files(folder), jobs=jobs)

    def score_waveform(self, waveform: Waveform) -> npt.NDArray[np.float64]:
        """Run the model once on all of a waveform: no speech detector, no windows, no threshold.

        Args:
            waveform: At any rate, no longer than the model can hear at once.

        Returns:
            Probabilities of the emotions, float64 ``(classes,)``; they sum to 1.

        Raises:
            ModelFileError: The model fails, or gives no probabilities.
        """
        samples = resample(waveform.samples, waveform.rate_hz, self.info.sample_rate_hz)
        try:
            inputs = {INPUT_NAME: samples[np.newaxis]}  # (1, samples)
            (output,) = self.model.session.run([OUTPUT_NAME], inputs)
        except MemoryError:
            raise
        except Exception as error:  # onnxruntime's errors share no base class of their own
            reason = " ".join(str(error).split())[:200]
            raise ModelFileError(
                f"the model fails on {waveform.duration_s:.2f} s of sound ({reason}); expected "
                "probabilities: free memory, or train or export the model again",
                code="model.failed",
                source=self.info.name,
            ) from error
        probabilities = np.asarray(output[0], dtype=np.float64)
        if not (np.isfinite(probabilities).all() and probabilities.sum() > 0):
            raise ModelFileError(
                f"the model answers {probabilities.tolist()}, expected probabilities; its weights "
                "are damaged: train or export it again",
                code="model.damaged",
                source=self.info.name,
            )
        normalized: npt.NDArray[np.float64] = probabilities / probabilities.sum()
        return normalized

    def _predict_or_explain(self, source: Any) -> Prediction | FileFailure:
        """Predict one recording, or say in one line why that is not possible."""
        is_pair = isinstance(source, tuple) and len(source) == 2
        samples, rate_hz = source if is_pair else (source, None)
        try:
            return self.predict(samples, rate_hz=rate_hz)
        except EmovoxError as error:
            return FileFailure(name_file(source), str(error), error.code, error.detail)
        except Exception as error:  # whatever a single recording brings, the others go on
            _log.info("%s failed", name_source(source), exc_info=True)
            code = "source.failed"
            if isinstance(error, TypeError | MemoryError):
                code = "source.invalid" if isinstance(error, TypeError) else "source.memory"
            detail = f"{type(error).__name__}: {' '.join(str(error).split())}"
            text = f"{name_source(source)}: {detail}"
            return FileFailure(name_file(source), text, code, detail)

    def _hears_speech(self, waveform: Waveform) -> bool:
        """Return whether a recording is worth asking for an emotion."""
        peak = float(np.abs(waveform.samples).max())
        if peak < SILENCE_PEAK or waveform.duration_s < MIN_SPEECH_S:
            return False
        return self.detector is None or self.detector.has_speech(waveform)

    def _classify(self, waveform: Waveform, file: str | None) -> Prediction:
        """Predict a waveform at the model's rate: the mean over its windows with speech."""
        labels = self.info.labels
        spoken = [window for window in cut_windows(waveform) if self._hears_speech(window)]
        if not spoken:
            return Prediction(file, 0.0, waveform.duration_s, None, None, None, "no speech")
        probabilities = np.mean([self.score_waveform(window) for window in spoken], axis=0)
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        uncertain = confidence < self.min_confidence
        return Prediction(
            file=file,
            start_s=0.0,
            end_s=waveform.duration_s,
            emotion=None if uncertain else labels[best],
            confidence=confidence,
            scores=dict(zip(labels, probabilities.tolist(), strict=True)),
            abstained="uncertain" if uncertain else None,
        )


def name_file(source: object) -> str | None:
    """Return a path as its caller named it; ``None`` for other sources."""
    return str(source) if isinstance(source, str | Path) else None
