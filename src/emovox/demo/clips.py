"""The bundled recordings: twelve CREMA-D clips by twelve different speakers."""

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from emovox.files import replace_file

ASSETS = Path(__file__).parents[1] / "assets" / "demo"
"""Folder of the recordings, their manifest and their licence."""

_MANIFEST = ASSETS / "clips.csv"


@dataclass(frozen=True, slots=True)
class DemoClip:
    """One recording, with the intended emotion and the votes of listeners who heard audio only.

    Attributes:
        file: File name in ``ASSETS``; the CREMA-D name with another suffix.
        intended: The emotion that the actor portrayed.
        heard: The emotion that listeners chose most often.
        votes: Number of listeners who chose it.
        listeners: Number of listeners.
        speaker: Number of the actor in CREMA-D.
        gender: ``"female"`` or ``"male"``.
        sentence: The spoken sentence.
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
        """Path of the recording."""
        return ASSETS / self.file


def read_demo_clips() -> tuple[DemoClip, ...]:
    """Return the bundled recordings, in the order of the manifest.

    Returns:
        Twelve clips: each of six emotions portrayed by one woman and one man, without repeated
        speakers or sentences. ``scripts/make_demo_clips.py`` documents how they were selected.

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
    """Write the manifest of the recordings."""
    with replace_file(_MANIFEST) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(DemoClip)])
        writer.writeheader()
        writer.writerows(asdict(clip) for clip in clips)
