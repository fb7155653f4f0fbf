"""A folder for each class: ``angry/0001.wav``, at any depth."""

from pathlib import Path

from emovox.audio.folders import walk_audio
from emovox.corpora.clips import CorpusListing
from emovox.corpora.listed import ListedRow, collect_rows, recognize_label
from emovox.labels import EMOTIONS, map_label


def read_class_folders(folder: Path) -> CorpusListing:
    """Read a tree in which a folder's name is the label of the recordings below it.

    The nearest folder that is named for an emotion counts; where there is none, the recording's
    own name where it is one of a known corpus, else the folder that it lies in. Nothing in such a
    tree says who speaks: the speakers are unknown, but those that are recognized by name.

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
    # A tree's own name is a label only where it is an emotion's: "./recordings" is none.
    outermost = folder.resolve().name
    outermost = outermost if map_label(outermost) in EMOTIONS else ""
    rows = []
    for _, file in walk_audio(folder):
        path = Path(file)
        names = [part.name for part in path.relative_to(folder).parents if part.name]
        label = next((name for name in names if map_label(name) in EMOTIONS), None)
        label = label or recognize_label(path) or next(iter(names), outermost)
        rows.append(ListedRow(path, label))
    return collect_rows(folder.resolve().name, folder, rows)
