"""One row of a corpus: a recording and what is known of it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of a corpus.

    Attributes:
        name: File name without its ending; unique within the corpus.
        path: Where the recording lies.
        corpus: Name of the corpus, e.g. ``"ravdess"``.
        emotion: One of :data:`emovox.labels.EMOTIONS`.
        speaker: Speaker's name within the corpus, e.g. ``"12"``.
        gender: ``"male"`` or ``"female"``, where the corpus says.
        sentence: What is said, where the corpus says.
        intensity: ``"normal"`` or ``"strong"``, where the corpus says.
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
