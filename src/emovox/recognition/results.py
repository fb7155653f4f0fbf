"""Result types: predictions, scores and failures."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NoReturn

from emovox.errors import EmovoxError

ADAPTED, NOT_ADAPTED = "adapted to ", "not adapted: "
"""How notes begin that are the same for all recordings of a speaker."""


class Scores(dict[str, float]):
    """Probability of each emotion, in the model's order, as an immutable, hashable dict.

    Examples:
        >>> Scores({"calm": 0.25, "angry": 0.75})["angry"]
        0.75
    """

    def _refuse(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise TypeError("scores are immutable; copy them with dict(scores) first")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return Scores, (dict(self),)


@dataclass(frozen=True, slots=True)
class Prediction:
    """The emotion predicted for one segment of speech, with the model's confidence.

    Attributes:
        file: Path of the recording as the caller named it; ``None`` for anything but a path.
        start_s: Start of the segment in seconds.
        end_s: End of the segment in seconds.
        emotion: The most probable emotion, or ``None`` if the recogniser abstains.
        confidence: Probability of the most probable emotion, in [0, 1]; ``None`` without speech.
        scores: Probability of each emotion, in the model's order; they sum to 1. ``None`` without
            speech.
        abstained: Why there is no emotion: ``"no speech"`` (no speech detected), ``"too short"``
            (less than 0.6 s of speech), ``"uncertain"`` (confidence below the threshold of
            the model or the user), or ``None``.
        channel: Number of the requested channel, from 1; ``None`` for the mix of all.
        notes: What was chosen where the recording left a choice, such as a track or channels.
    """

    file: str | None
    start_s: float
    end_s: float
    emotion: str | None
    confidence: float | None
    scores: Mapping[str, float] | None
    abstained: str | None = None
    channel: int | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", tuple(self.notes))
        if self.scores is not None:
            object.__setattr__(self, "scores", Scores(self.scores))

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as JSON-serialisable types, keyed by attribute name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "scores": None if self.scores is None else dict(self.scores)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Prediction":
        """Rebuild a prediction from the output of ``to_dict``.

        Args:
            values: Output of ``to_dict``, directly or read back from JSON.

        Raises:
            EmovoxError: A key is missing or unknown.

        Examples:
            >>> prediction = Prediction("a.wav", 0.0, 1.5, "calm", 1.0, {"calm": 1.0})
            >>> Prediction.from_dict(prediction.to_dict()) == prediction
            True
        """
        known = [field.name for field in fields(cls)]
        if set(values) != set(known):
            raise EmovoxError(
                f"found the keys {', '.join(map(str, values))}; expected those of a prediction: "
                f"{', '.join(known)}",
                code="prediction.invalid",
            )
        return cls(**values)


def name_runner_up(prediction: Prediction) -> str:
    """Return the second most probable emotion with its score."""
    scores = prediction.scores or {}
    ranked = sorted(scores, key=scores.__getitem__, reverse=True)
    # An uncertain prediction has no emotion, so its most probable one is the runner-up.
    emotion = ranked[0 if prediction.abstained else 1]
    return f"{emotion} {scores[emotion]:.3f}"


@dataclass(frozen=True, slots=True)
class FileFailure:
    """A recording in a batch that could not be predicted; the other recordings are unaffected.

    Attributes:
        file: Path as the caller named it; ``None`` for anything but a path.
        error: One line: what was found, what was expected, and what to do.
        code: Stable error code, such as ``"audio.truncated"``.
        detail: ``error`` without the name of the recording.
    """

    file: str | None
    error: str
    code: str
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """Return the failure as JSON-serialisable types, keyed by attribute name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def list_cells(result: Prediction | FileFailure) -> dict[str, Any]:
    """Return a result as a table row, keyed by column; each emotion is a column."""
    if isinstance(result, FileFailure):
        return {"file": result.file, "error_code": result.code, "error": result.error}
    cells = result.to_dict() | {"notes": "; ".join(result.notes) or None}
    return cells | (cells.pop("scores") or {})
