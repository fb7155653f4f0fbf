"""Corpora: folders of recordings in, rows of clips and their folds out.

    download ──> fetch ──┐   a checked archive, unpacked whole or not at all
                         v
    locate ─────────> folder                    registry: what is known by name, and where
                         │
    ravdess, nemo, named │   file names or a table that say everything
    manifest, audformat, ├─> Clip rows: path, emotion, speaker, sentence, ...
    emobox, class_folders│       │      (verify: what is missing, damaged or double)
                                 v
    protocols, cross ──────> folds of clips: train, validation, test
    combine ───────────────> further corpora that only train

Names and folders are read here, never samples; only ``verify`` decodes.
"""

from emovox.corpora.clips import Clip
from emovox.corpora.locate import find_ravdess
from emovox.corpora.ravdess import read_ravdess

__all__ = ["Clip", "find_ravdess", "read_ravdess"]
