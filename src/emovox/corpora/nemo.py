"""nEMO: acted Polish speech by nine speakers, described by a table beside the recordings."""

from pathlib import Path

from emovox.corpora.clips import NOT_THERE, Clip, CorpusListing
from emovox.corpora.folders import find_recordings
from emovox.corpora.tables import read_table
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
    recordings = find_recordings(folder)
    clips: dict[str, Clip] = {}
    n_missing = 0
    # The published table pads speakers with blanks.
    for row in read_table(table, _COLUMNS, of="nEMO's data.tsv", delimiter="\t"):
        stem = Path(row["file_id"]).stem
        if stem not in recordings:
            n_missing += 1
        else:
            clips[stem] = Clip(
                name=f"nemo-{stem}",
                path=recordings[stem],
                corpus="nemo",
                emotion=map_label(row["emotion"]),
                speaker=f"nemo-{row['speaker_id']}",
                gender=row["gender"] if row["gender"] in ("male", "female") else None,
                sentence=row["raw_text"],
            )
    missing = ((NOT_THERE.format("data.tsv"), n_missing),) if n_missing else ()
    return CorpusListing("nemo", folder, tuple(clips.values()), missing)
