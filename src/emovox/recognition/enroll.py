"""Make a voice from recordings of a speaker, and embed recordings for other uses."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emovox.audio.waveform import Waveform
from emovox.errors import ModelFileError, VoiceError
from emovox.recognition.classify import TOO_SHORT_S
from emovox.recognition.model_info import ReferencePrior
from emovox.recognition.voice import NEUTRAL, UNLABELLED, Voice, measure_spread
from emovox.recognition.windows import measure_powers, measure_speech
from emovox.wording import count

if TYPE_CHECKING:
    from emovox.recognition.recognizer import Recognizer

MIN_ENROLLED_S = 3.0
"""Speech that enrolment needs."""


@dataclass(slots=True)
class Embedded:
    """The windows with speech of one recording.

    Attributes:
        embeddings: Of each window, float32 ``(features,)``.
        probabilities: Of each window, without a voice, float64 ``(classes,)``.
        speech_s: Speech in each window in seconds, float64 ``(windows,)``.
    """

    embeddings: list[npt.NDArray[np.float32]] = field(default_factory=list)
    probabilities: list[npt.NDArray[np.float64]] = field(default_factory=list)
    speech_s: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def average(self) -> npt.NDArray[np.float32]:
        """Return the mean embedding, weighted by the speech in each window."""
        weights = np.maximum(self.speech_s, 1e-3)
        return np.asarray(np.average(self.embeddings, axis=0, weights=weights), np.float32)


def embed_windows(recognizer: "Recognizer", windows: Iterable[Waveform]) -> Embedded:
    """Run the encoder on the windows of a recording that have speech.

    Args:
        recognizer: Runs the model and the speech detector.
        windows: The whole recording, at the model's rate.
    """
    found, powers = Embedded(), []
    for window in windows:
        if recognizer.has_speech(window):
            probabilities, embedding = recognizer.embed_waveform(window)
            found.embeddings.append(embedding)
            found.probabilities.append(probabilities)
            powers.append(measure_powers(window.samples, window.rate_hz))
    if powers:
        found.speech_s = measure_speech(powers)
    return found


def make_voice(recognizer: "Recognizer", recordings: Iterable[Embedded], *, neutral: bool) -> Voice:
    """Average the recordings of a speaker.

    Args:
        recognizer: Its model is the one that the voice belongs to.
        recordings: Recordings of one speaker; those without speech do not count.
        neutral: Whether they are neutral speech, as in enrolment.

    Raises:
        VoiceError: There is too little speech.
    """
    total: npt.NDArray[np.float64] = np.zeros(recognizer.model.n_features)
    probabilities: list[npt.NDArray[np.float64]] = []
    n_recordings, speech_s = 0, 0.0
    for recording in recordings:
        # An embedding of half a second is mostly noise.
        whole = [at for at, speech in enumerate(recording.speech_s) if speech >= TOO_SHORT_S]
        for at in whole:
            total += recording.embeddings[at]
        probabilities += [recording.probabilities[at] for at in whole]
        n_recordings += bool(whole)
        speech_s += float(recording.speech_s.sum())
    needed_s = MIN_ENROLLED_S if neutral else TOO_SHORT_S
    if speech_s < needed_s or not probabilities:
        raise VoiceError(
            f"{speech_s:.1f} s of speech in {count(n_recordings, 'recording')}; expected at least "
            f"{needed_s:g} s of one speaker: give more or longer recordings",
            code="voice.too_little_speech",
        )
    kind = NEUTRAL if neutral else UNLABELLED
    prior = require_prior(recognizer)
    return Voice(
        reference=(total / len(probabilities)).astype(np.float32),
        kind=kind,
        labels=prior.share_labels(kind, recognizer.info.labels, np.stack(probabilities)),
        recordings=n_recordings,
        windows=len(probabilities),
        speech_s=round(speech_s, 3),
        spread=round(measure_spread(probabilities), 6),
        model=recognizer.model.sha256,
    )


def weigh_voice(recognizer: "Recognizer", voice: Voice) -> float:
    """Return how much of a voice counts, in [0, 1].

    Args:
        recognizer: The recogniser that is to use the voice.
        voice: The voice.

    Raises:
        ModelFileError: The model takes no reference.
        VoiceError: The voice was made with another model.
    """
    prior = require_prior(recognizer)
    if voice.model != recognizer.model.sha256:
        raise VoiceError(
            f"made with another model (SHA-256 {voice.model[:12]}...) than this one "
            f"({recognizer.model.sha256[:12]}..., {recognizer.info.name!r}); enrol the voice again",
            code="voice.other_model",
        )
    found = (voice.reference.size, len(voice.labels))
    expected = (recognizer.model.n_features, len(recognizer.info.labels))
    if found != expected:
        raise VoiceError(
            f"{found[0]} features and {found[1]} labels; the model has {expected[0]} and "
            f"{expected[1]}: enrol the voice again",
            code="voice.damaged",
        )
    return prior.weigh(voice.kind, voice.windows, voice.spread)


def require_prior(recognizer: "Recognizer") -> ReferencePrior:
    """Return how much references count in a model; refuse a model that takes none."""
    prior = recognizer.info.reference
    if prior is None:
        raise ModelFileError(
            f"the model {recognizer.info.name!r} takes no voice; use one that 'emovox info' says "
            "takes voices, or train one with training.references above 0",
            code="model.no_reference",
            source=str(recognizer.model.path),
        )
    return prior
