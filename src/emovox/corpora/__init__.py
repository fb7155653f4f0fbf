"""Corpora: folders of recordings in, rows of clips and their folds out.

    download ──> fetch ──┐   a checked archive, unpacked whole or not at all
                         v
    locate ─────────> folder
                         │
    ravdess ─────────────┼─> Clip rows: path, emotion, speaker, sentence, ...
    verify ──────────────┘       │      (verify: what is missing, damaged or double)
                                 v
    protocols ───────────> folds of clips: train, validation, test

Names and folders are read here, never samples; only ``verify`` decodes, through ``emovox.audio``.
"""

from emovox.corpora.clips import Clip
from emovox.corpora.locate import find_ravdess
from emovox.corpora.ravdess import read_ravdess

__all__ = ["Clip", "find_ravdess", "read_ravdess"]
