"""Corpora with one folder per class, such as ``angry/0001.wav``, at any depth."""

from pathlib import Path

from emovox.corpora.clips import CorpusListing
from emovox.corpora.folders import walk_corpus
from emovox.corpora.listed import ListedRow, collect_rows, recognize_label
from emovox.labels import EMOTIONS, map_label


def read_class_folders(folder: Path) -> CorpusListing:
    """Read a folder tree in which folder names are the labels.

    A recording's label is the nearest parent folder named after an emotion. If there is none, the
    label comes from the file name if it follows a known corpus' scheme, otherwise from the
    immediate parent folder. Speakers are unknown unless the file name identifies them.

    Args:
        folder: The root of the tree.

    Returns:
        The clips, sorted by path.

    Raises:
        CorpusError: The folder is missing or unreadable, or contains no usable clip.
    """
    # The root's name is a label only if it names an emotion: "./recordings" does not.
    outermost = folder.resolve().name
    outermost = outermost if map_label(outermost) in EMOTIONS else ""
    rows = []
    for _, file in walk_corpus(folder):
        path = Path(file)
        names = [part.name for part in path.relative_to(folder).parents if part.name]
        label = next((name for name in names if map_label(name) in EMOTIONS), None)
        label = label or recognize_label(path) or next(iter(names), outermost)
        rows.append(ListedRow(path, label))
    return collect_rows(folder.resolve().name, folder, rows)
