"""Read any corpus, given by name or by the path of a list or folder."""

from collections.abc import Sequence
from pathlib import Path

from emovox.corpora.audformat import read_audformat
from emovox.corpora.class_folders import read_class_folders
from emovox.corpora.clips import Clip, CorpusListing
from emovox.corpora.combine import join_listings
from emovox.corpora.emobox import read_emobox
from emovox.corpora.manifest import read_manifest
from emovox.corpora.registry import CORPORA, find_corpus, is_path
from emovox.errors import CorpusError


def read_corpus(source: str, data: Path | None = None) -> CorpusListing:
    """List the clips of a corpus given by name or path.

    Args:
        source: One of ``CORPORA``, or the path of a list or folder.
        data: The folder given with ``--data``.

    Returns:
        The listing, with at least one clip.

    Raises:
        CorpusError: The corpus is not found, or contains no clip.
    """
    if source in CORPORA:
        return find_corpus(source, data)
    path = Path(source).expanduser()
    if not is_path(source) or not path.exists():
        raise CorpusError(
            f"no corpus named {source!r}, and no such list or folder; known: "
            f"{', '.join(CORPORA)}, or the path of one, such as ./recordings",
            code="corpus.missing",
        )
    return read_path(path, data)


def read_path(path: Path, data: Path | None = None) -> CorpusListing:
    """List the clips of a list or folder, whose kind is detected.

    Args:
        path: An EmoBox list (``.jsonl``), an audformat database (a folder with ``db.yaml``, or one
            of its ``db.TABLE.csv``), a manifest (``.csv``, ``.tsv``), or a folder of classes.
        data: An additional folder to search for the recordings of an EmoBox list.

    Returns:
        The listing, with at least one clip.

    Raises:
        CorpusError: The kind is not supported, or there is no usable clip.
    """
    kind = path.suffix.lower()
    if path.is_dir():
        is_database = (path / "db.yaml").is_file()
        return read_audformat(path) if is_database else read_class_folders(path)
    if kind == ".jsonl":
        return read_emobox(path, data)
    if kind == ".csv" and path.name.startswith("db.") and (path.parent / "db.yaml").is_file():
        return read_audformat(path)
    if kind in (".csv", ".tsv"):
        return read_manifest(path)
    raise CorpusError(
        f"{path} is not a corpus: found a {kind or 'nameless'} file; expected a folder, a .csv or "
        ".tsv manifest, or an EmoBox .jsonl list"
    )


def load_clips(data: Path | None = None, corpora: Sequence[str] = ("ravdess",)) -> list[Clip]:
    """Read all clips of some corpora, each recording once.

    Args:
        data: Folder of the corpora; ``None``: the default locations.
        corpora: Their names, or paths of lists and folders.

    Raises:
        CorpusError: A corpus is not found.
    """
    return [clip for listing in load_listings(data, corpora) for clip in listing.clips]


def load_listings(
    data: Path | None, corpora: Sequence[str], *, compare_bytes: bool = True
) -> list[CorpusListing]:
    """List the clips of each corpus, without those that an earlier one lists."""
    listings = [read_corpus(name, data) for name in corpora]
    return join_listings(listings, compare_bytes=compare_bytes)
