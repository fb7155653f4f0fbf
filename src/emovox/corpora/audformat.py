"""audformat databases: tables stored as ``db.TABLE.csv`` beside the header ``db.yaml``.

The format is that of https://audeering.github.io/audformat/.
"""

import re
from pathlib import Path
from typing import Any

from emovox.corpora.clips import CorpusListing
from emovox.corpora.listed import ListedRow, collect_rows
from emovox.corpora.manifest import read_table
from emovox.errors import CorpusError

_NO_TIME = re.compile(r"(?:0 days)? ?(?:0?0:00:00(?:\.0*)?)?|0(?:\.0*)?s?")


def read_audformat(path: Path) -> CorpusListing:
    """Read the whole-file emotions of an audformat database.

    Args:
        path: The database's folder, to read every table with an ``emotion`` column; or a single
            table, ``db.TABLE.csv``.

    Returns:
        The clips in table order. Speakers come from any table with ``file`` and ``speaker``
        columns; genders come from that table or from the header's speaker scheme. Rows that
        describe a segment of a recording are skipped.

    Raises:
        CorpusError: The header or a table cannot be read, no CSV table has emotions, or two
            tables contradict each other.
    """
    folder = path if path.is_dir() else path.parent
    header = _read_header(folder / "db.yaml")
    tables = {file: read_table(file)[1] for file in sorted(folder.glob("db.*.csv"))}
    facts = _collect_facts(tables.values(), _read_speaker_genders(header, tables))
    chosen = [path] if path.is_file() else list(tables)
    rows = []
    n_segments = 0
    seen: set[tuple[str, str]] = set()
    for table in chosen:
        for row in tables.get(table) or ():
            file, label = row.get("file", ""), row.get("emotion", "")
            if not file or "emotion" not in row or (file, label) in seen:
                continue
            if not (_NO_TIME.fullmatch(row.get("start", "")) and row.get("end", "") in ("", "NaT")):
                n_segments += 1
                continue
            seen.add((file, label))
            speaker, gender = facts.get(file, ("", ""))
            rows.append(ListedRow(folder / file, label, speaker, gender))
    if not rows and not n_segments:
        raise CorpusError(
            f"{path}: found no table with the columns file and emotion among "
            f"{len(tables)} stored as CSV; expected db.TABLE.csv: save the database with "
            "audformat's db.save(..., storage_format='csv'), or name another table"
        )
    segments = [("parts of recordings", n_segments)] if n_segments else []
    return collect_rows(str(header.get("name") or folder.resolve().name), path, rows, segments)


def _read_header(path: Path) -> dict[str, Any]:
    # PyYAML is not a runtime dependency, and few users read audformat.
    import yaml

    try:
        header = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CorpusError(
            f"{path}: cannot be read ({error}); expected the header of an audformat database"
        ) from None
    if not isinstance(header, dict):
        raise CorpusError(f"{path}: found {header!r}; expected the header of an audformat database")
    return header


def _read_speaker_genders(
    header: dict[str, Any], tables: dict[Path, list[dict[str, str]]]
) -> dict[str, str]:
    """Return each speaker's gender from the header's labels or the table they refer to."""
    scheme = (header.get("schemes") or {}).get("speaker") or {}
    labels = scheme.get("labels")
    genders: dict[str, str] = {}
    if isinstance(labels, dict):
        for speaker, facts in labels.items():
            if isinstance(facts, dict) and facts.get("gender"):
                genders[str(speaker)] = str(facts["gender"])
    for rows in tables.values():
        for row in rows:
            if "file" not in row and row.get("speaker") and row.get("gender"):
                genders[row["speaker"]] = row["gender"]
    return genders


def _collect_facts(tables: Any, genders: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Return the speaker and gender of each file."""
    speakers: dict[str, str] = {}
    own: dict[str, str] = {}
    for rows in tables:
        for row in rows:
            if row.get("file") and row.get("speaker"):
                speakers[row["file"]] = row["speaker"]
            if row.get("file") and row.get("gender"):
                own[row["file"]] = row["gender"]
    return {
        file: (speakers.get(file, ""), own.get(file) or genders.get(speakers.get(file, ""), ""))
        for file in speakers.keys() | own.keys()
    }
