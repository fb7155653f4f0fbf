"""The search space of a recipe: ranges and choices for its settings."""

import difflib
import json
import math
from typing import Annotated, Any

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    Strict,
    field_validator,
    model_serializer,
    model_validator,
)

from emovox.recipes.settings import Settings

_LIMIT = 10**12
_Bounds = Field(ge=-_LIMIT, le=_LIMIT)
Number = Annotated[int, Strict(), _Bounds] | Annotated[float, Strict(), _Bounds]
_MOST_STEPS = 1_000_000
SIGNIFICANT_DIGITS = 4
"""Sampled values are rounded to this many digits, to keep recipes readable."""


class Axis(Settings):
    """One setting's range, from ``low`` to ``high``, or its ``choices``.

    A range with two integer ends yields integers.
    """

    low: Number | None = None
    high: Number | None = None
    log: bool = False
    step: Number | None = None
    choices: Annotated[tuple[Any, ...], Field(max_length=1_000)] | None = None

    @model_validator(mode="before")
    @classmethod
    def check_names(cls, value: Any) -> Any:
        """Refuse an unknown name and suggest the nearest known one."""
        if not isinstance(value, dict):
            raise ValueError("expected { low = ..., high = ... } or { choices = [...] }")
        for name in value:
            if name not in cls.model_fields:
                near = difflib.get_close_matches(name, cls.model_fields, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else "expected low and high, or choices"
                raise ValueError(f"unknown {name!r}; {hint}")
        return value

    @field_validator("choices")
    @classmethod
    def check_choices(cls, choices: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        """Refuse fewer than two choices, or duplicates."""
        if choices is not None and len({json.dumps(c, default=str) for c in choices}) < max(
            2, len(choices)
        ):
            raise ValueError("expected two different choices or more")
        return choices

    @model_validator(mode="after")
    def check_range(self) -> "Axis":
        """Refuse an invalid range."""
        if self.choices is not None:
            if self.log or not (self.low is self.high is self.step is None):
                raise ValueError("has choices and a range; leave out one of them")
            return self
        if self.low is None or self.high is None:
            raise ValueError("expected both low and high, or choices")
        if self.low >= self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs a low above 0, and no step")
        if self.step is not None:
            steps = (self.high - self.low) / self.step if self.step > 0 else 0.5
            if not 1 <= steps <= _MOST_STEPS or not math.isclose(steps, round(steps)):
                raise ValueError(f"from {self.low}, step {self.step} does not reach {self.high}")
            if self.is_integer() != isinstance(self.step, int):
                raise ValueError("low, high and step must all be integers, or none of them")
        return self

    @model_serializer(mode="wrap")
    def drop_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Serialize only the fields that apply."""
        values: dict[str, Any] = dump(self)
        return {
            name: value
            for name, value in values.items()
            if value is not None and value is not False
        }

    def is_integer(self) -> bool:
        """Whether the range yields integers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def list_extremes(self) -> tuple[Any, ...]:
        """Return both ends of the range, or all choices."""
        return self.choices if self.choices is not None else (self.low, self.high)

    def holds(self, value: Any) -> bool:
        """Return whether a search could sample ``value``."""
        if self.choices is not None:
            return json.dumps(value) in [json.dumps(choice) for choice in self.choices]
        if self.low is None or self.high is None or isinstance(value, str | bool | list | dict):
            return False
        if not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        return math.isclose(steps, round(steps), abs_tol=1e-9)

    def round(self, value: float) -> float:
        """Round a sampled number to ``SIGNIFICANT_DIGITS``, within the range."""
        if self.is_integer() or self.low is None or self.high is None:
            return value
        rounded = float(f"{value:.{SIGNIFICANT_DIGITS}g}")
        return float(min(max(rounded, self.low), self.high))


class TuneSettings(Settings):
    """The search space of ``emovox tune``."""

    space: Annotated[dict[str, Axis], Field(max_length=100)] = Field(
        {}, description="a range or choices for each setting, by key"
    )
