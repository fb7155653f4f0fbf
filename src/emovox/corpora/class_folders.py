"""A folder for each class: ``angry/0001.wav``, at any depth."""

from pathlib import Path

from emovox.corpora.clips import CorpusListing
from emovox.corpora.folders import walk_corpus
from emovox.corpora.listed import ListedRow, collect_rows, recognize_label
from emovox.labels import map_label


def read_class_folders(folder: Path) -> CorpusListing:
    """Read a tree in which a folder's name is the emotion of the recordings below it.

    Nothing in such a tree says who speaks: all its clips are of one unknown speaker, but those
    that are recognised by name. A recording below no such folder counts by its own name where it
    is one of a known corpus; else its folder's name is a label without a counterpart.

    Args:
        folder: The top of the tree.

    Returns:
        The clips by path.

    Raises:
        CorpusError: The folder is missing or unreadable, or holds no clip that can be used.

    Example:
        >>> read_class_folders(Path("recordings")).clips[0].name  # doctest: +SKIP
        'recordings-angry/0001'
    """
    rows = []
    for _, file in walk_corpus(folder):
        path = Path(file)
        names = [part.name for part in path.relative_to(folder).parents if part.name]
        label = next((name for name in names if map_label(name)), None)
        if label is None:
            label = recognize_label(path) or (names or [folder.resolve().name])[0]
        rows.append(ListedRow(path, label))
    return collect_rows(folder.resolve().name, folder, rows)
