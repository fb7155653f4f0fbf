"""Adapt to speakers by their own unlabelled recordings, without enrolment."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emovox.audio.channels import EACH
from emovox.errors import EmovoxError, VoiceError
from emovox.recognition.enroll import Embedded, make_voice, require_prior, weigh_voice
from emovox.recognition.results import ADAPTED, NOT_ADAPTED
from emovox.recognition.voice import Voice
from emovox.wording import count

if TYPE_CHECKING:
    from emovox.recognition.recognizer import Recognizer

BY_FOLDER, BY_SPEAKER = "folder", "speaker"
FEW_RECORDINGS = 3
MAX_RECORDINGS = 200
"""Recordings of one speaker that are averaged, evenly spaced; more change nothing."""


def name_speakers(files: Sequence[Path], folder: str | Path, adapt: str) -> list[str]:
    """Name the speaker of each file in a folder.

    Args:
        files: Files below the folder.
        folder: The folder.
        adapt: ``"folder"``: one speaker; ``"speaker"``: one for each subfolder.

    Returns:
        The folder, or the subfolder of it that holds the file.

    Raises:
        EmovoxError: ``adapt`` is neither.

    Examples:
        >>> name_speakers([Path("calls/ann/1.wav"), Path("calls/0.wav")], "calls", "speaker")
        ['calls/ann', 'calls']
    """
    if adapt not in (BY_FOLDER, BY_SPEAKER):
        raise EmovoxError(f"adapt is {adapt!r}; expected {BY_FOLDER!r} or {BY_SPEAKER!r}")
    if adapt == BY_FOLDER:
        return [str(folder)] * len(files)
    parents = (file.relative_to(folder).parts[:-1][:1] for file in files)
    return [str(Path(folder, *parent)) for parent in parents]


def adapt_to_speakers(
    recognizer: "Recognizer",
    sources: Sequence[Any],
    speakers: Sequence[str],
    *,
    jobs: int = 1,
    **options: Any,
) -> dict[str, "Recognizer"]:
    """Estimate the voice of each speaker from their own recordings.

    Args:
        recognizer: The recogniser to adapt.
        sources: Recordings, as in ``Recognizer.predict_many``.
        speakers: Name of the speaker of each.
        jobs: Number of recordings to process in parallel.
        **options: Channel, track and raw format, as in ``Recognizer.predict``.

    Returns:
        A recogniser for each speaker, whose notes say what its voice rests on where that is little.

    Raises:
        EmovoxError: The numbers of recordings and speakers differ, or ``channel`` is ``each``.
        ModelFileError: The model takes no voice.
    """
    require_prior(recognizer)
    if len(sources) != len(speakers):
        raise EmovoxError(
            f"{count(len(sources), 'recording')} and {count(len(speakers), 'speaker')}; expected "
            "the name of a speaker for each recording"
        )
    if options.get("channel") == EACH:
        raise EmovoxError(
            "channel is 'each', whose channels may be of different speakers; expected one channel "
            "to adapt to"
        )
    of_speaker: dict[str, list[Any]] = {}
    for source, speaker in zip(sources, speakers, strict=True):
        of_speaker.setdefault(speaker, []).append(source)

    def embed(source: Any) -> Embedded:
        try:
            return recognizer.embed_recording(source, **options)
        except Exception:  # it is reported when it is predicted
            return Embedded()

    with ThreadPoolExecutor(jobs) as pool:
        return {
            speaker: _adapt(recognizer, speaker, pool.map(embed, _choose(own)), len(own))
            for speaker, own in of_speaker.items()
        }


def _choose(sources: list[Any]) -> list[Any]:
    """Return at most ``MAX_RECORDINGS`` of the recordings, evenly spaced."""
    step = max(1.0, len(sources) / MAX_RECORDINGS)
    return [sources[int(at * step)] for at in range(min(len(sources), MAX_RECORDINGS))]


def _adapt(
    recognizer: "Recognizer", speaker: str, recordings: Iterator[Embedded], n_recordings: int
) -> "Recognizer":
    """Return a recogniser adapted to one speaker; its notes say what is doubtful."""
    try:
        voice = make_voice(recognizer, recordings, neutral=False)
    except VoiceError:
        of = f"the {count(n_recordings, 'recording')} of {speaker}"
        return recognizer.with_voice(None, [f"{NOT_ADAPTED}too little speech in {of}"])
    return recognizer.with_voice(voice, describe_doubts(recognizer, voice, speaker))


def describe_doubts(recognizer: "Recognizer", voice: Voice, speaker: str) -> list[str]:
    """Return a note if a voice rests on few recordings, or on recordings that are alike."""
    prior, share = require_prior(recognizer), 100 * weigh_voice(recognizer, voice)
    n = count(voice.recordings, "recording")
    if voice.windows < FEW_RECORDINGS:
        return [f"{ADAPTED}only {n} of {speaker}, so their mean counts {share:.0f}%"]
    if voice.spread <= prior.low_spread:
        return [
            f"{ADAPTED}{n} of {speaker} that the model finds alike, so their mean counts "
            f"{share:.0f}%: they may all hold the same emotion; enrol neutral speech instead"
        ]
    return []
