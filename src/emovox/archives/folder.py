"""The folder of an archive: settings, plan, parts, and the finished rows.

settings.json     what may not change between two starts
plan/             the recordings, and the units of work
parts/            a Parquet file for each finished unit; removed once the rows are finished
rows-*.parquet    the rows of all parts, in the order of the plan
_manifest.json    closes a finished archive: names its files, with their SHA-256
"""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emovox.archives.pieces import Piece
from emovox.archives.work import TaskResult
from emovox.audio.selection import Selection
from emovox.errors import ArchiveError
from emovox.files import replace_file, write_text
from emovox.recognition.speech_spans import Span

MANIFEST = "_manifest.json"
_PART = re.compile(r"(\d{8})(?:-(\d{4}))?\.(parquet|json)")


class ArchiveFolder:
    """The folder that an archive is written to.

    Args:
        path: The folder; created when something is written.
        generation: How often failures were tried again; each time has parts of its own.
    """

    def __init__(self, path: Path, generation: int = 0) -> None:
        self.path = path
        self.generation = generation
        self.plan = path / "plan"
        self.parts = path / ("parts" if generation == 0 else f"parts-{generation}")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from writing to the folder.

        Raises:
            ArchiveError: Another process does.
        """
        from filelock import FileLock, Timeout

        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.path / ".lock", timeout=0):
                yield
        except Timeout:
            raise ArchiveError(
                "another process is writing to it; wait for it, or name another --out",
                code="archive.locked",
                source=str(self.path),
            ) from None

    def check_settings(self, settings: dict[str, Any]) -> None:
        """Write the settings, or refuse others than those that the folder was begun with.

        Raises:
            ArchiveError: They differ; the text says which.
        """
        path = self.path / "settings.json"
        if not path.exists():
            foreign = [p.name for p in self.path.glob("*") if p.name != ".lock"]
            if foreign:
                raise ArchiveError(
                    f"holds {foreign[0]!r}, but no archive; expected an empty or a new folder",
                    code="archive.foreign",
                    source=str(self.path),
                )
            write_text(path, json.dumps(settings, indent=2, default=str) + "\n")
            return
        found = json.loads(path.read_text(encoding="utf-8"))
        wanted = json.loads(json.dumps(settings, default=str))
        names = [k for k in found | wanted if found.get(k) != wanted.get(k)]
        if names:
            differing = "; ".join(f"{k}: {found.get(k)!r}, now {wanted.get(k)!r}" for k in names)
            raise ArchiveError(
                f"was begun with other settings ({differing}); use those, or name another --out",
                code="archive.mixed",
                source=str(self.path),
            )

    def write_result(self, result: TaskResult) -> None:
        """Write what a worker returned: its rows, or the pieces of a long recording."""
        if result.content is None:
            pieces = [asdict(piece) for piece in result.pieces]
            write_text(self.parts / f"{result.task.name}.json", json.dumps(pieces))
            return
        with replace_file(self.parts / f"{result.task.name}.parquet") as part:
            part.write_bytes(result.content)

    def read_pieces(self, unit: int) -> tuple[Piece, ...]:
        """Return the pieces that a long recording was cut into."""
        found = json.loads((self.parts / f"{unit:08d}.json").read_text(encoding="utf-8"))
        return tuple(
            Piece(
                piece["number"],
                Selection(
                    piece["selection"]["track"],
                    tuple(piece["selection"]["signs"]),
                    piece["selection"]["channel"],
                    tuple(piece["selection"]["notes"]),
                ),
                tuple(Span(**turn) for turn in piece["turns"]),
            )
            for piece in found
        )

    def find_done(self, n_units: int) -> tuple[npt.NDArray[np.bool_], dict[int, set[int]]]:
        """Find what is done.

        Returns:
            Whether each unit has its part, bool ``(units,)``. For each recording that was cut into
            pieces, the numbers of those that are done.
        """
        done = np.zeros(n_units, np.bool_)
        cut: dict[int, set[int]] = {}
        if self.parts.is_dir():
            for path in self.parts.iterdir():
                match = _PART.fullmatch(path.name)
                if match is None and path.name != "failed.npy":
                    path.unlink(missing_ok=True)  # what a killed process was writing
                elif match is None:
                    continue
                elif match[3] == "json":
                    cut.setdefault(int(match[1]), set())
                elif match[2]:
                    cut.setdefault(int(match[1]), set()).add(int(match[2]))
                else:
                    done[int(match[1])] = True
        return done, cut

    def list_parts(self, n_units: int) -> Iterator[Path]:
        """Yield the parts of all units, in order."""
        _, cut = self.find_done(n_units)
        for unit in range(n_units):
            if unit in cut:
                for piece in sorted(cut[unit]):
                    yield self.parts / f"{unit:08d}-{piece:04d}.parquet"
            else:
                yield self.parts / f"{unit:08d}.parquet"

    def read_manifest(self) -> dict[str, Any] | None:
        """Return the manifest of a finished archive; None for an unfinished one."""
        try:
            found: dict[str, Any] = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return found

    def clean(self, manifest: dict[str, Any]) -> None:
        """Remove what a finished archive has replaced: its parts, and rows it does not name."""
        for path in self.path.glob("parts*"):
            if int(path.name.partition("-")[2] or 0) <= manifest["generation"]:
                shutil.rmtree(path)
        named = {file["name"] for file in manifest["files"]}
        for path in self.path.glob("rows-*.parquet"):
            if path.name not in named:
                path.unlink()
