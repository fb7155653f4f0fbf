"""Any corpus to its clips: by name, or by the path of a list or folder."""

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
    """List the clips of a corpus that is named, or given by a path.

    Args:
        source: One of ``CORPORA``, or the path of a list or folder.
        data: The folder that the user named with ``--data``.

    Returns:
        The listing, with at least one clip.

    Raises:
        CorpusError: It is not here, or holds no clip.
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
    """List the clips of a list or folder, by what it looks like.

    Args:
        path: An EmoBox list (``.jsonl``), an audformat database (a folder with ``db.yaml``, or one
            of its ``db.TABLE.csv``), a manifest (``.csv``, ``.tsv``), or a folder of classes.
        data: One more folder in which the recordings of an EmoBox list may be.

    Returns:
        The listing, with at least one clip.

    Raises:
        CorpusError: It is none of these, or holds no clip that can be used.
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
        f"{path} is no corpus: found a {kind or 'nameless'} file; expected a folder, a .csv or "
        ".tsv manifest, or an EmoBox .jsonl list"
    )


def load_clips(data: Path | None = None, corpora: Sequence[str] = ("ravdess",)) -> list[Clip]:
    """Read all clips of some corpora, each recording once.

    Args:
        data: Where the corpora lie; ``None``: the usual places.
        corpora: Their names, or paths of lists and folders.

    Raises:
        CorpusError: One is not here.
    """
    return [clip for listing in load_listings(data, corpora) for clip in listing.clips]


def load_listings(data: Path | None, corpora: Sequence[str]) -> list[CorpusListing]:
    """List the clips of each corpus, without those that an earlier one lists too."""
    return join_listings([read_corpus(name, data) for name in corpora])
