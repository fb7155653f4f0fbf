"""One row of a corpus, a recording and what is known of it; and all rows that were found."""

from dataclasses import dataclass
from pathlib import Path

UNKNOWN_SPEAKER = "unknown"


def describe_speakers(number: int) -> str:
    """Return a number of speakers in words; 0 says that they are unknown.

    Example:
        >>> describe_speakers(1), describe_speakers(24), describe_speakers(0)
        ('1 speaker', '24 speakers', 'unknown speakers')
    """
    return f"{number:,} speaker{'' if number == 1 else 's'}" if number else "unknown speakers"


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of a corpus.

    Attributes:
        name: Unique over all corpora: RAVDESS' file name without its ending, and for others the
            corpus' name before theirs, e.g. ``"nemo-EB0_anger_1"``.
        path: Where the recording lies.
        corpus: Name of the corpus, e.g. ``"ravdess"``.
        emotion: Its label: one of :data:`emovox.labels.EMOTIONS`, or another word.
        speaker: Unique over all corpora: ``"12"`` is RAVDESS' actor, in speech and song alike;
            others have the corpus' name before theirs, e.g. ``"nemo-EB0"``; ``"calls-unknown"``
            where a list does not say.
        gender: ``"male"`` or ``"female"``, where the corpus says.
        sentence: What is said, where the corpus says.
        intensity: ``"normal"`` or ``"strong"`` (RAVDESS), ``"low"``, ``"medium"`` or ``"high"``
            (CREMA-D), where the corpus says.
        repetition: Which take of the same sentence, from 1.
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

    @property
    def has_speaker(self) -> bool:
        """Whether the corpus says who speaks."""
        return not self.speaker.endswith(f"-{UNKNOWN_SPEAKER}")


@dataclass(frozen=True, slots=True)
class CorpusListing:
    """What a corpus' folder or list holds, and what of it cannot be used.

    Attributes:
        corpus: Name of the corpus.
        source: The folder or file that was read.
        clips: Each usable clip once, in a fixed order.
        skipped: Why recordings are not used, and how many each reason concerns.
        missing: Recordings that the list names and that are not there.
        ignored: Columns of the list that are not read.
    """

    corpus: str
    source: Path
    clips: tuple[Clip, ...]
    skipped: tuple[tuple[str, int], ...] = ()
    missing: tuple[Path, ...] = ()
    ignored: tuple[str, ...] = ()

    def describe_unused(self) -> list[str]:
        """Return a sentence for people on everything of the list that is not used."""
        notes = [f"{self.corpus}: {n:,} not used: {why}" for why, n in self.skipped]
        if self.missing:
            notes.append(
                f"{self.corpus}: {len(self.missing):,} not there, such as {self.missing[0]}"
            )
        if self.ignored:
            notes.append(f"{self.corpus}: columns not read: {', '.join(self.ignored)}")
        return notes
