"""The protocol ``loco``: each corpus is tested by a model that was trained on all others."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from emovox.corpora.clips import Clip
from emovox.corpora.cross import describe_untested, share_labels
from emovox.corpora.folds import Fold, Protocol
from emovox.corpora.held_out import hold_out
from emovox.errors import ProtocolError
from emovox.labels import order_labels

LOCO = "loco"


def split_corpora(clips: Sequence[Clip]) -> tuple[list[Fold], list[str]]:
    """Make one fold for each corpus, which is tested over the labels that the others have too.

    Calm counts as neutral. A sixth of each training corpus' speakers are held out for validation
    (a tenth of its clips if fewer than two are known), so that every training corpus is in it.

    Args:
        clips: The clips of two or more corpora.

    Returns:
        The folds, named by the corpus left out and sorted by name, and notes on what is not tested.

    Raises:
        ProtocolError: There are fewer than two corpora, or one shares fewer than two labels with
            the others.
    """
    corpora: dict[str, list[Clip]] = {}
    for clip in count_calm_as_neutral(clips):
        corpora.setdefault(clip.corpus, []).append(clip)
    if len(corpora) < 2:
        raise ProtocolError(
            f"loco leaves out one of two or more corpora; found {', '.join(corpora) or 'none'}: "
            "name each with --corpus, or in data.corpora of the recipe"
        )
    parts = {name: hold_out(own, min_speakers=2) for name, own in corpora.items()}
    folds, notes = [], []
    for name in sorted(corpora):
        others = [part for other, part in parts.items() if other != name]
        train = tuple(clip for trained, _ in others for clip in trained)
        shared = share_labels(f"loco, fold {name}", train, corpora[name])
        notes += [f"{name}: {note}" for note in describe_untested(corpora[name], shared)]
        folds.append(
            Fold(
                name,
                train=train,
                validation=tuple(clip for _, held in others for clip in held),
                test=tuple(clip for clip in corpora[name] if clip.emotion in shared),
                labels=shared,
            )
        )
    return folds, notes


def count_calm_as_neutral(clips: Iterable[Clip]) -> tuple[Clip, ...]:
    """Return clips labelled neutral where they were labelled calm, which only RAVDESS has."""
    return tuple(
        replace(clip, emotion="neutral") if clip.emotion == "calm" else clip for clip in clips
    )


def restore_corpora(protocol: Protocol) -> Protocol:
    """Restore the labels of folds that were read from a run's ``split.csv``."""
    folds = []
    for fold in protocol.folds:
        train, validation, test = map(
            count_calm_as_neutral, (fold.train, fold.validation, fold.test)
        )
        labels = order_labels(clip.emotion for clip in test)
        folds.append(Fold(fold.name, train, validation, test, labels))
    return replace(protocol, folds=tuple(folds))
