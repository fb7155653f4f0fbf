"""The recordings that come with the package: twelve of CREMA-D, by as many speakers."""

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from emovox.files import replace_file

ASSETS = Path(__file__).parents[1] / "assets" / "demo"
"""The recordings, their list, and their licence."""

_MANIFEST = ASSETS / "clips.csv"


@dataclass(frozen=True, slots=True)
class DemoClip:
    """One recording, with what was intended and what listeners of the voice alone heard.

    Attributes:
        file: Its name in ``ASSETS``, CREMA-D's own but for the ending.
        intended: The emotion that the actor was asked for.
        heard: The emotion that more listeners heard than any other.
        votes: How many did.
        listeners: How many were asked.
        speaker: CREMA-D's number of the actor.
        gender: ``"female"`` or ``"male"``.
        sentence: What is said.
    """

    file: str
    intended: str
    heard: str
    votes: int
    listeners: int
    speaker: str
    gender: str
    sentence: str

    @property
    def path(self) -> Path:
        """Where the recording lies."""
        return ASSETS / self.file


def read_demo_clips() -> tuple[DemoClip, ...]:
    """Return the recordings that come with the package, in the order of their list.

    Returns:
        Twelve clips: each of six emotions portrayed by a woman and by a man, no speaker and no
        sentence twice. ``scripts/make_demo_clips.py`` says how they were chosen.

    Examples:
        >>> len(read_demo_clips())
        12
    """
    with _MANIFEST.open(newline="", encoding="utf-8") as file:
        rows: Iterable[dict[str, Any]] = csv.DictReader(file)
        return tuple(
            DemoClip(**{**row, "votes": int(row["votes"]), "listeners": int(row["listeners"])})
            for row in rows
        )


def write_manifest(clips: list[DemoClip]) -> None:
    """Write the list of recordings beside them."""
    with replace_file(_MANIFEST) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(DemoClip)])
        writer.writeheader()
        writer.writerows(asdict(clip) for clip in clips)
