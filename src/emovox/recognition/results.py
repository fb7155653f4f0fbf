"""What a prediction returns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Prediction:
    """The emotion heard in one stretch of speech, and how sure the model is.

    Attributes:
        file: Path of the recording as the caller named it, or ``None`` for an array.
        start_s: Start of the stretch in seconds.
        end_s: End of the stretch in seconds.
        emotion: The most probable emotion, or ``None`` where the recogniser abstains.
        confidence: Probability of the most probable emotion, in [0, 1].
        scores: Probability of each emotion, in the model's order; they sum to 1.
        abstained: Why there is no emotion: ``"no speech"`` (nobody is heard speaking),
            ``"uncertain"`` (confidence below the model's threshold, or the user's), or ``None``.
    """

    file: str | None
    start_s: float
    end_s: float
    emotion: str | None
    confidence: float
    scores: Mapping[str, float]
    abstained: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as JSON-ready types, with the documented keys."""
        return {
            "file": self.file,
            "start": round(self.start_s, 3),
            "end": round(self.end_s, 3),
            "emotion": self.emotion,
            "confidence": self.confidence,
            "abstained": self.abstained,
            "scores": dict(self.scores),
        }


@dataclass(frozen=True, slots=True)
class FileFailure:
    """One file of a batch that could not be predicted, while the others went on.

    Attributes:
        file: Path as the caller named it.
        error: One line: what was found, what was expected, what to do.
    """

    file: str
    error: str

    def to_dict(self) -> dict[str, Any]:
        """Return the failure as JSON-ready types."""
        return {"file": self.file, "error": self.error}
