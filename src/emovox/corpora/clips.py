"""One row of a corpus, a recording and what is known of it; and all rows that were found."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of a corpus.

    Attributes:
        name: Unique over all corpora: RAVDESS' file name without its ending, and for others the
            corpus' name before theirs, e.g. ``"nemo-EB0_anger_1"``.
        path: Where the recording lies.
        corpus: Name of the corpus, e.g. ``"ravdess"``.
        emotion: One of :data:`emovox.labels.EMOTIONS`.
        speaker: Unique over all corpora: ``"12"`` is RAVDESS' actor, in speech and song alike;
            others have the corpus' name before theirs, e.g. ``"nemo-EB0"``.
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


@dataclass(frozen=True, slots=True)
class CorpusListing:
    """What a corpus' folder or list holds, and what of it cannot be used.

    Attributes:
        corpus: Name of the corpus.
        source: The folder or file that was read.
        clips: Each usable clip once, in a fixed order.
        left_out: Labels without a counterpart among :data:`emovox.labels.EMOTIONS`, and how many
            clips have each.
        skipped: Other reasons why recordings are not used, and how many each concerns.
    """

    corpus: str
    source: Path
    clips: tuple[Clip, ...]
    left_out: tuple[tuple[str, int], ...] = ()
    skipped: tuple[tuple[str, int], ...] = ()

    def describe_unused(self) -> list[str]:
        """Return a sentence for people on each kind of recording that is not used."""
        notes = [
            f"{self.corpus}: {n:,} clips labelled {label!r} left out, which is none of emovox's "
            "emotions"
            for label, n in self.left_out
        ]
        return notes + [f"{self.corpus}: {n:,} not used: {why}" for why, n in self.skipped]
