"""nEMO: acted Polish speech by nine speakers, described by a table beside the recordings."""

import csv
from pathlib import Path

from emovox.corpora.clips import Clip, CorpusListing
from emovox.corpora.folders import rank_copy, walk_corpus
from emovox.errors import CorpusError
from emovox.labels import map_label

_COLUMNS = ("file_id", "emotion", "raw_text", "speaker_id", "gender")


def list_nemo(folder: Path) -> CorpusListing:
    """List the recordings in nEMO's ``data.tsv``.

    The table lists ``.wav`` files; files of the same name in other formats are accepted too.

    Args:
        folder: The folder with ``data.tsv``, as in https://github.com/amu-cai/nEMO, and with the
            recordings anywhere below it.

    Returns:
        The clips in table order; none if the folder has no ``data.tsv``.

    Raises:
        CorpusError: The table cannot be read or lacks a column.
    """
    table = folder / "data.tsv"
    if not table.is_file():
        return CorpusListing("nemo", folder, ())
    copies: dict[str, list[tuple[int, int, str]]] = {}
    for depth, file in walk_corpus(folder):
        copies.setdefault(Path(file).stem, []).append(rank_copy(depth, file))
    clips: dict[str, Clip] = {}
    n_missing = 0
    for row in _read_rows(table):
        stem = Path(row["file_id"]).stem
        if stem not in copies:
            n_missing += 1
        else:
            clips[stem] = Clip(
                name=f"nemo-{stem}",
                path=Path(min(copies[stem])[2]),
                corpus="nemo",
                emotion=map_label(row["emotion"]),
                speaker=f"nemo-{row['speaker_id']}",
                gender=row["gender"] if row["gender"] in ("male", "female") else None,
                sentence=row["raw_text"],
            )
    missing = (("named in data.tsv, but not there", n_missing),) if n_missing else ()
    return CorpusListing("nemo", folder, tuple(clips.values()), missing)


def _read_rows(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            # The published table pads speakers with blanks.
            rows = [{key: (row.get(key) or "").strip() for key in _COLUMNS} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{table}: cannot be read ({error}); expected nEMO's table") from None
    if missing:
        raise CorpusError(
            f"{table}: found no column {', '.join(missing)}; expected nEMO's data.tsv with "
            f"{', '.join(_COLUMNS)}"
        )
    return rows
