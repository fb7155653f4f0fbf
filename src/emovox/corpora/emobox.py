"""EmoBox lists: one JSON object per line (https://github.com/emo-box/EmoBox/tree/main/data)."""

import json
from pathlib import Path
from typing import Any

from emovox.corpora.clips import CorpusListing
from emovox.corpora.listed import ListedRow, collect_rows
from emovox.errors import CorpusError


def read_emobox(path: Path, data: Path | None = None) -> CorpusListing:
    """Read one of EmoBox's JSONL lists.

    Args:
        path: The list, such as ``data/ravdess/fold_1/ravdess_train_fold_1.jsonl``; recordings are
            searched for below its folder and its parent folders, as ``downloads/...`` in EmoBox.
        data: An additional folder to search.

    Returns:
        The clips in list order. Segments of longer recordings are skipped.

    Raises:
        CorpusError: The list cannot be read, a line is malformed, or no recording is found.
    """
    entries = _read_entries(path)
    places = [path.resolve().parent, *path.resolve().parents, *([data] if data else [])]
    root = next(
        (place for entry in entries for place in places if (place / entry["wav"]).is_file()), None
    )
    if root is None:
        raise CorpusError(
            f"{path}: found none of its {len(entries):,} recordings, such as {entries[0]['wav']}, "
            "below its folder or those above; expected EmoBox's layout: put them there, or pass "
            "--data with the folder that these paths are relative to"
        )
    whole = [entry for entry in entries if "start_time" not in entry]
    rows = [
        ListedRow(
            path=root / entry["wav"],
            label=entry["emo"],
            speaker=str(entry.get("spk") or ""),
            dataset=entry["dataset"],
            name=entry["key"],
        )
        for entry in whole
    ]
    n_segments = len(entries) - len(whole)
    segments = [("segments of longer recordings", n_segments)] if n_segments else []
    return collect_rows(entries[0]["dataset"], path, rows, segments)


def _read_entries(path: Path) -> list[dict[str, Any]]:
    entries = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: cannot be read ({error}); expected an EmoBox list") from None
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line) if line.strip() else None
        except json.JSONDecodeError:
            entry = line
        if entry is None:
            continue
        if not isinstance(entry, dict) or not all(
            isinstance(entry.get(key), str) for key in ("key", "dataset", "wav", "emo")
        ):
            raise CorpusError(
                f"{path}, line {number}: found {line[:80]!r}; expected a JSON object with key, "
                "dataset, wav and emo, as EmoBox has them"
            )
        entries.append(entry)
    if not entries:
        raise CorpusError(f"{path}: is empty; expected an EmoBox list")
    return entries
