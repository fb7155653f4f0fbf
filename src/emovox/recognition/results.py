"""What a prediction returns."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NoReturn

from emovox.errors import EmovoxError


class Scores(dict[str, float]):
    """Probability of each emotion, in the model's order: a hashable dict that cannot change.

    Examples:
        >>> Scores({"calm": 0.25, "angry": 0.75})["angry"]
        0.75
    """

    def _refuse(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise TypeError("scores cannot be changed; make a dict of them first")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return Scores, (dict(self),)


@dataclass(frozen=True, slots=True)
class Prediction:
    """The emotion heard in one stretch of speech, and how sure the model is.

    Attributes:
        file: Path of the recording as the caller named it; ``None`` for anything but a path.
        start_s: Start of the stretch in seconds.
        end_s: End of the stretch in seconds.
        emotion: The most probable emotion, or ``None`` where the recogniser abstains.
        confidence: Probability of the most probable emotion, in [0, 1]; ``None`` without speech.
        scores: Probability of each emotion, in the model's order; they sum to 1. ``None`` without
            speech.
        abstained: Why there is no emotion: ``"no speech"`` (nobody is heard speaking),
            ``"uncertain"`` (confidence below the model's threshold, or the user's), or ``None``.
    """

    file: str | None
    start_s: float
    end_s: float
    emotion: str | None
    confidence: float | None
    scores: Mapping[str, float] | None
    abstained: str | None = None

    def __post_init__(self) -> None:
        if self.scores is not None:
            object.__setattr__(self, "scores", Scores(self.scores))

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as JSON-ready types; the keys are the attributes' names."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "scores": None if self.scores is None else dict(self.scores)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Prediction":
        """Return the prediction that ``to_dict`` was called on.

        Args:
            values: What it returned, or the same read back from JSON.

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


@dataclass(frozen=True, slots=True)
class FileFailure:
    """One recording of several that could not be predicted, while the others went on.

    Attributes:
        file: Path as the caller named it; ``None`` for anything but a path.
        error: One line: what was found, what was expected, what to do.
        code: Stable name of the failure, such as ``"audio.truncated"``.
        detail: ``error`` without the name of the recording.
    """

    file: str | None
    error: str
    code: str
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """Return the failure as JSON-ready types; the keys are the attributes' names."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def list_cells(result: Prediction | FileFailure) -> dict[str, Any]:
    """Return the cells of a result's row in a table, by column; each emotion is a column."""
    if isinstance(result, FileFailure):
        return {"file": result.file, "error_code": result.code, "error": result.error}
    cells = result.to_dict()
    return cells | (cells.pop("scores") or {})
