"""The recogniser: predicts the emotion of recordings with a model file."""

import copy
import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emovox.audio.channels import EACH, MIX, parse_channel
from emovox.audio.folders import list_audio_files
from emovox.audio.limits import MAX_DURATION_S
from emovox.audio.raw import RawFormat
from emovox.audio.recording import AudioSource, Recording, open_recording
from emovox.audio.selection import Selection, select_sound
from emovox.audio.sources import name_source
from emovox.audio.waveform import Waveform
from emovox.errors import AudioError, EmovoxError
from emovox.recognition.baselines import adapt_to_speakers, name_speakers
from emovox.recognition.classify import classify_windows
from emovox.recognition.enroll import (
    Embedded,
    embed_windows,
    make_voice,
    require_prior,
    weigh_voice,
)
from emovox.recognition.failures import describe_failure, name_file
from emovox.recognition.model_file import (
    LABELS_NAME,
    REFERENCE_NAME,
    WEIGHT_NAME,
    ModelFile,
    open_model,
)
from emovox.recognition.named_models import (
    DEFAULT_MODEL,
    check_named_model,
    find_model,
)
from emovox.recognition.results import FileFailure, Prediction
from emovox.recognition.scorer import WaveformScorer
from emovox.recognition.timeline import MAX_TIMELINE_S, iterate_hops, merge_segments
from emovox.recognition.voice import Voice
from emovox.recognition.voice_activity import SpeechDetector
from emovox.recognition.windows import iterate_windows
from emovox.telemetry import warn_of_usage_events

_log = logging.getLogger(__name__)


class Recognizer(WaveformScorer):
    """Predicts the emotion of recordings, with a confidence.

    Create one with ``load``. It keeps no state between predictions, and threads can share it. It
    can be pickled, for example for process pools: the copy reopens the model file.

    Args:
        model: An open model file.
        detector: Speech detector; ``None`` detects digital silence only.
        min_confidence: Confidence below which the recogniser abstains; ``None`` uses the threshold
            in the model file.
        max_duration_s: Maximum duration of a recording, in seconds.

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
        super().__init__(model, detector)
        self.min_confidence = min_confidence
        self.max_duration_s = max_duration_s
        self.voice: Voice | None = None
        self._notes: tuple[str, ...] = ()

    @property
    def licence(self) -> str:
        """Licence terms of the model; ``info.corpora`` has those of each training corpus."""
        return self.info.licence

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

        Logs a warning, once for each model, if it is loaded by name and its licence does not allow
        every use.

        Logs another, once, if the host program imported onnxruntime before emovox with its usage
        events on; ``ORT_DISABLE_TELEMETRY=1`` switches them off.

        Args:
            path: A ``model.onnx``, or the name of a model file beside the release, such as
                ``"research"``: see the "Licences" page; ``None``: the bundled model.
            threads: CPU threads per prediction.
            vad: Run voice-activity detection first. Without it, only digital silence is reported
                as "no speech", and noise or music is assigned an emotion.
            min_confidence: Confidence below which the recogniser abstains; ``None`` uses the
                threshold in the model file, 0 disables it.
            max_duration_s: Maximum duration of a recording, in seconds.

        Returns:
            The recogniser.

        Raises:
            ModelFileError: The file is missing, damaged or inconsistent.
        """
        warn_of_usage_events()
        name = path or DEFAULT_MODEL
        file = find_model(name)
        model = open_model(file, threads=threads)
        check_named_model(name, model.path, model.sha256)
        # Whoever trained a model, and gives its path, knows what on.
        if model.info.is_non_commercial and file != Path(name):
            warn_of_licence(model.info.name, model.info.licence)
        return cls(
            model,
            detector=SpeechDetector(threads=threads) if vad else None,
            min_confidence=min_confidence,
            max_duration_s=max_duration_s,
        )

    def predict(
        self,
        source: AudioSource,
        *,
        rate_hz: int | None = None,
        channel: str | int = MIX,
        track: int | None = None,
        raw: RawFormat | None = None,
        voice: Voice | None = None,
    ) -> Prediction:
        """Predict the emotion of one recording.

        Args:
            source: Path, encoded bytes, binary file object, ``Waveform``, or an array
                ``(samples,)`` or ``(samples, channels)``: floats in [-1, 1] or integers.
            rate_hz: Sampling rate of an array in Hz; required for arrays, and not accepted for
                other sources, which carry their rate. Any rate is resampled to the model's.
            channel: ``mix`` averages the channels, but leaves out those without speech if others
                have it, and inverts those of opposite phase; ``left``, ``right`` or a number from
                1 selects one.
            track: Number of the audio track, from 1; ``None``: the default track, or if it has no
                speech, the first that has.
            raw: Format of a source that is a file of samples without a header.
            voice: The speaker's voice, from ``enroll``.

        Returns:
            The prediction for the whole recording; its ``file`` is ``None`` unless the source is
            a path. Its ``notes`` say what was chosen where the recording left a choice.

        Raises:
            AudioError: The recording cannot be used, has no such channel or track, or ``rate_hz``
                is missing for an array or given for another source.
            ModelFileError: The model fails, returns no valid probabilities, or takes no voice.
            VoiceError: The voice was made with another model.
            TypeError: The source has an unsupported type.
        """
        if channel == EACH:
            raise EmovoxError(
                "channel is 'each', which gives a prediction for each; expected one channel or "
                "'mix': use predict_many"
            )
        recognizer = self.with_voice(voice)
        (prediction,) = recognizer._predict_selections(source, rate_hz, channel, track, raw)
        return prediction

    def predict_many(
        self,
        sources: Iterable[AudioSource | tuple[npt.ArrayLike, int]],
        *,
        jobs: int = 1,
        channel: str | int = MIX,
        track: int | None = None,
        raw: RawFormat | None = None,
        voice: Voice | None = None,
    ) -> Iterator[Prediction | FileFailure]:
        """Predict many recordings, in their order.

        Args:
            sources: Any mixture of the sources that ``predict`` accepts, with arrays as
                ``(samples, rate_hz)`` pairs; consumed lazily.
            jobs: Number of recordings to process in parallel.
            channel: As in ``predict``, or ``each`` for a prediction per channel.
            track: As in ``predict``.
            raw: As in ``predict``.
            voice: The voice of the speaker of all recordings, from ``enroll``.

        Yields:
            A prediction per recording, or a failure that describes what is wrong with it; the
            remaining recordings are still processed.

        Raises:
            EmovoxError: ``jobs`` is under 1, ``sources`` is a single recording, or ``channel`` is
                not a channel.
            ModelFileError: The model takes no voice.
            VoiceError: The voice was made with another model.
        """
        parse_channel(channel)
        if jobs < 1:
            raise EmovoxError(f"jobs is {jobs}; expected at least 1")
        if isinstance(sources, str | Path | bytes | np.ndarray | Waveform):
            raise EmovoxError(
                f"sources is {type(sources).__name__}; expected a list of recordings: use predict "
                "for a single one"
            )
        predict = partial(
            self.with_voice(voice)._predict_or_explain, channel=channel, track=track, raw=raw
        )
        remaining = iter(sources)
        if jobs == 1:
            yield from chain.from_iterable(map(predict, remaining))
            return
        with ThreadPoolExecutor(jobs) as pool:
            # Queue a few items, not all of them: a folder may contain a million.
            waiting = [pool.submit(predict, s) for s in islice(remaining, 4 * jobs)]
            try:
                while waiting:
                    yield from waiting.pop(0).result()
                    waiting += [pool.submit(predict, s) for s in islice(remaining, 1)]
            finally:
                # After an early exit or Ctrl-C, wait for the running items only.
                pool.shutdown(wait=False, cancel_futures=True)

    def predict_files(
        self, files: Iterable[str | Path], **options: Any
    ) -> Iterator[Prediction | FileFailure]:
        """Predict many files: ``predict_many`` for paths."""
        return self.predict_many(files, **options)

    def predict_folder(
        self, folder: str | Path, *, adapt: str | None = None, **options: Any
    ) -> Iterator[Prediction | FileFailure]:
        """Predict every audio file in a folder and its subfolders.

        Args:
            folder: The folder to search.
            adapt: ``"folder"``: all recordings are of one speaker; ``"speaker"``: those below each
                subfolder are. As in ``predict_speakers``; ``None``: nothing is known.
            **options: Those of ``predict_many``.

        Returns:
            An iterator as in ``predict_many``, in natural order (``clip_2`` before ``clip_10``),
            the files of a folder before those of its subfolders.

        Raises:
            AudioError: The folder does not exist, or contains no audio files.
        """
        files = list_audio_files(folder)
        if adapt is None:
            return self.predict_many(files, **options)
        return self.predict_speakers(files, name_speakers(files, folder, adapt), **options)

    def predict_speakers(
        self,
        sources: Sequence[AudioSource | tuple[npt.ArrayLike, int]],
        speakers: Sequence[str],
        **options: Any,
    ) -> Iterator[Prediction | FileFailure]:
        """Predict recordings, each adapted to all recordings of its speaker.

        The mean of a speaker's recordings is taken off each: what does not change between them is
        the voice and the microphone, if they hold several emotions. Recordings are processed twice.

        Args:
            sources: Recordings, as in ``predict_many``.
            speakers: Name of the speaker of each, for example a folder name.
            **options: Those of ``predict_many`` but ``voice``, and ``each`` channel.

        Yields:
            Results as in ``predict_many``, in the order of ``sources``. A note says so where a
            speaker has few recordings, or recordings that are all alike.

        Raises:
            EmovoxError: The numbers of recordings and speakers differ.
            ModelFileError: The model takes no voice.
        """
        adapted = adapt_to_speakers(self, sources, speakers, **options)
        pairs = zip(sources, speakers, strict=True)
        for speaker, group in groupby(pairs, key=lambda pair: pair[1]):
            yield from adapted[speaker].predict_many((source for source, _ in group), **options)

    def timeline(
        self,
        source: AudioSource,
        *,
        rate_hz: int | None = None,
        channel: str | int = MIX,
        track: int | None = None,
        raw: RawFormat | None = None,
        max_duration_s: float = MAX_TIMELINE_S,
        merge: bool = True,
        voice: Voice | None = None,
    ) -> Iterator[Prediction]:
        """Follow the emotion through a recording of any length.

        Args:
            source: As in ``predict``, like the arguments up to ``raw``.
            rate_hz: Sampling rate of an array in Hz.
            channel: As in ``predict``, or ``each`` for the timeline of each channel in turn.
            track: Number of the audio track, from 1.
            raw: Format of a source that is a file of samples without a header.
            max_duration_s: Maximum duration in seconds, instead of the recogniser's; a day.
            merge: Join consecutive predictions of the same emotion into segments; otherwise, there
                is one for every second of speech.
            voice: The voice of the only speaker, from ``enroll``.

        Yields:
            Segments as soon as they end, in order and without gaps, from 0 to the end of the
            recording: an emotion, or "uncertain", "too short" or "no speech". Scores are averaged.

        Raises:
            AudioError: As in ``predict``; damage is reported when it is reached.
            ModelFileError: The model fails, or returns no valid probabilities.
            TypeError: The source has an unsupported type.

        Examples:
            >>> recognizer = Recognizer.load(min_confidence=0)
            >>> [segment.emotion for segment in recognizer.timeline("clip.opus")]
            [None, 'angry', None]
        """
        recognizer = self.with_voice(voice)
        file = name_file(source)
        with open_recording(source, rate_hz, raw=raw, max_duration_s=max_duration_s) as recording:
            for selection in recognizer.select_sound(recording, channel, track):
                blocks = recording.iterate(
                    self.info.sample_rate_hz, selection.signs, selection.track
                )
                hops = iterate_hops(recognizer, blocks, selection, file)
                yield from merge_segments(hops) if merge else hops
        _log.info("%s: timeline finished", name_source(source))

    def enroll(
        self,
        sources: Iterable[AudioSource | tuple[npt.ArrayLike, int]],
        *,
        neutral: bool = True,
        channel: str | int = MIX,
        track: int | None = None,
        raw: RawFormat | None = None,
    ) -> Voice:
        """Learn the voice of a speaker, to take it off before predicting other recordings.

        Args:
            sources: Recordings of one speaker through one microphone, as in ``predict_many``: 3 s
                of speech or more in all.
            neutral: Whether they are neutral speech. Otherwise they should hold several emotions,
                the more the better.
            channel: As in ``predict``.
            track: As in ``predict``.
            raw: As in ``predict``.

        Returns:
            The voice, for this model only. It holds no audio.

        Raises:
            AudioError: A recording cannot be used.
            ModelFileError: The model takes no voice.
            VoiceError: There is too little speech.
        """
        require_prior(self)
        if isinstance(sources, str | Path | bytes | np.ndarray | Waveform):
            raise EmovoxError(f"sources is {type(sources).__name__}; expected a list of recordings")
        embedded = [
            self.embed_recording(source, channel=channel, track=track, raw=raw)
            for source in sources
        ]
        return make_voice(self, embedded, neutral=neutral)

    def embed(
        self,
        source: AudioSource,
        *,
        rate_hz: int | None = None,
        channel: str | int = MIX,
        track: int | None = None,
        raw: RawFormat | None = None,
    ) -> npt.NDArray[np.float32]:
        """Return the encoder's embedding of a recording, for other models.

        Args:
            source: As in ``predict``, like the other arguments.
            rate_hz: Sampling rate of an array in Hz.
            channel: As in ``predict``.
            track: As in ``predict``.
            raw: As in ``predict``.

        Returns:
            float32 ``(features,)``; of a recording longer than 6 s, the mean over windows, weighted
            by the speech in each.

        Raises:
            AudioError: The recording cannot be used, or has no speech.
            ModelFileError: The model has no embedding, or fails.

        Examples:
            >>> Recognizer.load().embed("clip.opus").ndim
            1
        """
        embedded = self._embed(source, rate_hz, channel, track, raw)
        if not embedded.embeddings:
            raise AudioError(
                "no speech detected; expected a recording with speech",
                code="audio.no_speech",
                source=name_source(source),
            )
        return embedded.average()

    def with_voice(self, voice: Voice | None, notes: Sequence[str] = ()) -> "Recognizer":
        """Return a recogniser that takes a voice off whatever it predicts.

        Args:
            voice: A voice from ``enroll``; ``None``: none is taken off.
            notes: Added to the notes of every prediction.

        Returns:
            A recogniser that shares the model with this one.

        Raises:
            ModelFileError: The model takes no voice.
            VoiceError: The voice was made with another model.
        """
        if voice is None and not notes:
            return self
        adapted = copy.copy(self)
        adapted._notes = (*self._notes, *notes)
        if voice is None:
            return adapted
        weight = weigh_voice(self, voice)
        adapted.voice = voice
        adapted._reference = {
            REFERENCE_NAME: voice.reference[np.newaxis],  # (1, features)
            WEIGHT_NAME: np.full(1, weight, np.float32),
            LABELS_NAME: np.array([voice.labels], np.float32),  # (1, classes)
        }
        return adapted

    def embed_recording(
        self,
        source: AudioSource | tuple[npt.ArrayLike, int],
        *,
        channel: str | int = MIX,
        track: int | None = None,
        raw: RawFormat | None = None,
    ) -> Embedded:
        """Embed the windows of a recording that have speech.

        Args:
            source: As in ``predict_many``, like the other arguments.
            channel: As in ``predict``.
            track: As in ``predict``.
            raw: As in ``predict``.

        Raises:
            AudioError: The recording cannot be used.
            ModelFileError: The model has no embedding, or fails.
        """
        return self._embed(*split_pair(source), channel, track, raw)

    def _embed(
        self,
        source: Any,
        rate_hz: int | None,
        channel: str | int,
        track: int | None,
        raw: RawFormat | None,
    ) -> Embedded:
        """Embed the windows of a recording that have speech."""
        with open_recording(
            source, rate_hz, raw=raw, max_duration_s=self.max_duration_s
        ) as recording:
            (selection,) = self.select_sound(recording, channel, track)
            return embed_windows(self, self.cut_windows(recording, selection))

    def select_sound(
        self, recording: Recording, channel: str | int = MIX, track: int | None = None
    ) -> tuple[Selection, ...]:
        """Choose the track and channels of a recording, those with speech first.

        Args:
            recording: An open recording.
            channel: As in ``predict_many``.
            track: As in ``predict``.

        Returns:
            One selection, or one per channel.

        Raises:
            AudioError: The recording cannot be used, or has no such channel or track.
        """
        found = select_sound(
            recording,
            channel,
            track,
            lambda selection: any(map(self.has_speech, self.cut_windows(recording, selection))),
        )
        return tuple(replace(one, notes=(*one.notes, *self._notes)) for one in found)

    def _predict_selections(
        self,
        source: AudioSource,
        rate_hz: int | None,
        channel: str | int,
        track: int | None,
        raw: RawFormat | None,
    ) -> list[Prediction]:
        """Predict one recording, or each of its channels."""
        with open_recording(
            source, rate_hz, raw=raw, max_duration_s=self.max_duration_s
        ) as recording:
            predictions = [
                classify_windows(
                    self, self.cut_windows(recording, selection), selection, name_file(source)
                )
                for selection in self.select_sound(recording, channel, track)
            ]
        for prediction in predictions:
            outcome = prediction.emotion or prediction.abstained
            _log.info("%s: %.2f s, %s", name_source(source), prediction.end_s, outcome)
        return predictions

    def _predict_or_explain(self, source: Any, **options: Any) -> list[Prediction | FileFailure]:
        """Predict one recording, or return the failure."""
        samples, rate_hz = split_pair(source)
        try:
            return [*self._predict_selections(samples, rate_hz, **options)]
        except Exception as error:  # one recording must not stop the others
            return [describe_failure(source, error)]

    def cut_windows(self, recording: Recording, selection: Selection) -> Iterator[Waveform]:
        """Yield the windows of a selection, at the model's rate."""
        rate_hz = self.info.sample_rate_hz
        blocks = recording.iterate(rate_hz, selection.signs, selection.track)
        return iterate_windows(blocks, rate_hz)


@cache
def warn_of_licence(name: str, licence: str) -> None:
    """Log the licence of a model, unless it was logged before."""
    _log.warning("the model %s is not for every use: %s", name, licence)


def split_pair(source: Any) -> tuple[Any, int | None]:
    """Return samples and rate of an array with its rate; other sources carry their rate."""
    if isinstance(source, tuple) and len(source) == 2:
        return source
    return source, None
