"""Corpora: from folders of recordings to clips and evaluation folds.

    download ──> fetch ──┐   a verified archive, unpacked completely or not at all
                         v
    locate ─────────> folder                    registry: the corpora known by name
                         │
    ravdess, banglaser,  │   metadata in file names or a table
    named, crema_d, nemo,│
    emozionalmente,      │
    thai_ser (tables)    │
    manifest, audformat, ├─> Clip rows: path, emotion, speaker, sentence, ...
    emobox, class_folders│       │
                                 │      measure: length, level and content of each clip
                                 │      findings, check: what is wrong with clips and labels
                                 │      (verify: the same for a whole corpus, with counts)
                                 v
    protocols, cross ──────> folds of clips: train, validation, test
    combine ───────────────> additional corpora, used for training only

These modules read file names and tables; only ``measure`` decodes audio.
"""

from emovox.corpora.clips import Clip
from emovox.corpora.locate import find_ravdess
from emovox.corpora.ravdess import read_ravdess

__all__ = ["Clip", "find_ravdess", "read_ravdess"]
