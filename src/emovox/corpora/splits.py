"""``split.csv``: which clip has which role in which fold, written and read."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from emovox.corpora.clips import Clip
from emovox.corpora.folds import Fold, Protocol, check_folds, find_shared_speakers
from emovox.errors import ProtocolError


def format_split(protocol: Protocol) -> str:
    """Return each clip's role in each fold as CSV with the columns ``clip,fold,role``."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("clip", "fold", "role"))
    for fold in protocol.folds:
        for role in ("train", "validation", "test"):
            rows.writerows((clip.name, fold.name, role) for clip in getattr(fold, role))
    return text.getvalue()


def read_split(
    path: Path, clips: Iterable[Clip], *, allow_speaker_overlap: bool = False
) -> Protocol:
    """Read a custom split from a CSV with the columns ``clip,fold,role``.

    Args:
        path: The file; roles are ``train``, ``validation`` and ``test``.
        clips: The corpus in which to look up clip names.
        allow_speaker_overlap: Accept a split with test speakers in training and report its scores
            as speaker-dependent.

    Returns:
        The protocol, named ``custom-`` plus the file's name.

    Raises:
        ProtocolError: A row is malformed, a clip or role is unknown, a clip has two roles in a
            fold, or speakers are shared although ``allow_speaker_overlap`` is not set.
    """
    folds = read_folds(path, clips)
    overlap = allow_speaker_overlap and any(find_shared_speakers(f) for f in folds)
    protocol = Protocol(
        name=f"custom-{path.stem}",
        version=1,
        description=f"custom split from {path.name}",
        speaker_independent=not overlap,
        folds=folds,
    )
    check_folds(protocol)
    return protocol


def read_folds(path: Path, clips: Iterable[Clip], *, keep_names: bool = False) -> tuple[Fold, ...]:
    """Read folds from a CSV with the columns ``clip,fold,role``.

    They are numbered in the order of their names; with ``keep_names``, they are as in the file.

    Raises:
        ProtocolError: The file cannot be read, a row is malformed, or a clip is unknown.
    """
    by_name = {c.name: c for c in clips}
    roles: dict[str, dict[str, list[Clip]]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ProtocolError(f"{path}: cannot read the split: {error}") from None
    for line, row in enumerate(rows, 2):
        name, fold, role = (row.get(key) for key in ("clip", "fold", "role"))
        if not name or not fold or role not in ("train", "validation", "test"):
            raise ProtocolError(
                f"{path}, line {line}: found {row}; expected clip,fold,role with role train, "
                "validation or test"
            )
        if name not in by_name:
            raise ProtocolError(f"{path}, line {line}: no clip {name!r} in the corpus")
        parts = roles.setdefault(fold, {"train": [], "validation": [], "test": []})
        parts[role].append(by_name[name])
    if not roles:
        raise ProtocolError(f"{path}: no rows; expected clip,fold,role")
    if not keep_names:
        ordered = sorted(roles, key=order_by_number)
        roles = {f"{i:02d}": roles[fold] for i, fold in enumerate(ordered, 1)}
    return tuple(
        Fold(name, tuple(parts["train"]), tuple(parts["validation"]), tuple(parts["test"]))
        for name, parts in roles.items()
    )


def order_by_number(fold: str) -> tuple[int, str]:
    """Return a sort key that puts fold 2 before 10, and 99 before 100."""
    return len(fold), fold
