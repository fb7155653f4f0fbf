"""Emozionalmente: acted Italian speech by 431 amateurs on their own devices."""

from pathlib import Path

from emovox.corpora.clips import GENDERS, NOT_THERE, Clip, CorpusListing
from emovox.corpora.folders import find_recordings
from emovox.corpora.tables import read_table
from emovox.labels import map_label

_SAMPLES = ("file_name", "emotion_expressed", "actor", "sentence")
_USERS = ("username", "gender")


def list_emozionalmente(folder: Path) -> CorpusListing:
    """List the recordings in Emozionalmente's ``metadata/samples.csv``, by the intended emotion.

    Layout and columns: https://zenodo.org/records/12616095 and its reader in
    https://github.com/felixbur/nkululeko/blob/main/data/emozionalmente/create.py.

    Args:
        folder: The folder with ``metadata`` and ``audio``, or the one that it was unpacked in.

    Returns:
        The clips in table order; none without the table.

    Raises:
        CorpusError: A table cannot be read or lacks a column.
    """
    tables = (folder / "metadata/samples.csv", *sorted(folder.glob("*/metadata/samples.csv")))
    table = next((table for table in tables if table.is_file()), None)
    if table is None:
        return CorpusListing("emozionalmente", folder, ())
    users = table.with_name("users.csv")
    genders = {
        row["username"]: GENDERS.get(row["gender"].lower())
        for row in (
            read_table(users, _USERS, of="Emozionalmente's users") if users.exists() else ()
        )
    }
    recordings = find_recordings(table.parent.parent)
    clips: dict[str, Clip] = {}
    n_missing = 0
    for row in read_table(table, _SAMPLES, of="Emozionalmente's samples"):
        stem = Path(row["file_name"]).stem
        if stem not in recordings:
            n_missing += 1
            continue
        clips[stem] = Clip(
            name=f"emozionalmente-{stem}",
            path=recordings[stem],
            corpus="emozionalmente",
            emotion=map_label(row["emotion_expressed"], "emozionalmente"),
            speaker=f"emozionalmente-{row['actor']}",
            gender=genders.get(row["actor"]),
            sentence=row["sentence"] or None,
        )
    missing = ((NOT_THERE.format("samples.csv"), n_missing),) if n_missing else ()
    return CorpusListing("emozionalmente", folder, tuple(clips.values()), missing)
