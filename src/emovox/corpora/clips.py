"""A clip of a corpus with its metadata, and the listing of all clips found."""

from dataclasses import dataclass
from pathlib import Path

UNKNOWN_SPEAKER = "unknown"

GENDERS = {"male": "male", "m": "male", "female": "female", "f": "female"}
"""Gender by the lower-case words and letters of lists and tables."""

LISTED_BEFORE = "listed by an earlier corpus too"
LISTED_TWICE = "the same recording as another of the list"
FURTHER_COPIES = "further copies"
"""Reasons for skipping a recording that is used once already."""

NOT_THERE = "named in {}, but not there"
"""Reason for skipping a recording that a corpus' own table names."""


def describe_speakers(number: int) -> str:
    """Format a number of speakers for display; 0 means that they are unknown.

    Examples:
        >>> describe_speakers(1), describe_speakers(24), describe_speakers(0)
        ('1 speaker', '24 speakers', 'unknown speakers')
    """
    return f"{number:,} speaker{'' if number == 1 else 's'}" if number else "unknown speakers"


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of a corpus.

    Attributes:
        name: Unique across all corpora: the file name without its extension for RAVDESS; prefixed
            with the corpus name for others, e.g. ``"nemo-EB0_anger_1"``.
        path: Path of the recording.
        corpus: Name of the corpus, e.g. ``"ravdess"``.
        emotion: The label: one of ``emovox.labels.EMOTIONS``, or another word.
        speaker: Unique across all corpora: ``"12"`` is RAVDESS actor 12, in both speech and song;
            others are prefixed with the corpus name, e.g. ``"nemo-EB0"``; ``"calls-unknown"`` if
            the list does not name the speaker.
        gender: ``"male"`` or ``"female"``, if known.
        sentence: The spoken text, or its number in the corpus, if known.
        intensity: ``"normal"`` or ``"strong"`` (RAVDESS, BanglaSER), ``"low"``, ``"medium"`` or
            ``"high"`` (CREMA-D), if known.
        repetition: Number of the take of the same sentence, from 1.
        votes: How many listeners of the voice alone chose each emotion, in the order of
            ``emovox.labels.EMOTIONS``; empty if the corpus does not say.
    """

    name: str
    path: Path
    corpus: str
    emotion: str
    speaker: str
    gender: str | None = None
    sentence: str | None = None
    intensity: str | None = None
    repetition: int | None = None
    votes: tuple[tuple[str, int], ...] = ()

    @property
    def has_speaker(self) -> bool:
        """Whether the corpus identifies the speaker."""
        return not self.speaker.endswith(f"-{UNKNOWN_SPEAKER}")


@dataclass(frozen=True, slots=True)
class CorpusListing:
    """The usable clips of a corpus folder or list, and what was skipped.

    Attributes:
        corpus: Name of the corpus.
        source: The folder or file that was read.
        clips: Each usable clip once, in a fixed order.
        skipped: Reasons for skipping recordings, each with the number of recordings.
        missing: Recordings that are listed but do not exist.
        cause: Why the first of these is probably missing.
        ignored: Columns of the list that are not read.
    """

    corpus: str
    source: Path
    clips: tuple[Clip, ...]
    skipped: tuple[tuple[str, int], ...] = ()
    missing: tuple[Path, ...] = ()
    cause: str = ""
    ignored: tuple[str, ...] = ()

    def describe_unused(self) -> list[str]:
        """Describe everything in the listing that is not used, one sentence each."""
        notes = [f"{self.corpus}: {n:,} not used: {why}" for why, n in self.skipped]
        if self.missing:
            notes.append(
                f"{self.corpus}: {len(self.missing):,} not there, such as "
                f"{self.missing[0].absolute()}: {self.cause}"
            )
        if self.ignored:
            notes.append(f"{self.corpus}: columns not read: {', '.join(self.ignored)}")
        return notes
