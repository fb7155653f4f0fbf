"""Several corpora in one training: no recording twice, and no voice on both sides."""

import os
from collections.abc import Sequence
from dataclasses import replace

from emovox.corpora.clips import Clip, CorpusListing
from emovox.corpora.protocols import Fold, Protocol
from emovox.corpora.ravdess import is_ravdess_name
from emovox.errors import CorpusError


def join_listings(listings: Sequence[CorpusListing]) -> list[CorpusListing]:
    """Keep each recording in the first corpus that lists it.

    A recording is the same where its name is the same (a list of RAVDESS files beside RAVDESS
    itself) or its file.

    Args:
        listings: The corpora in the order of the recipe.

    Returns:
        The same corpora without what an earlier one lists.

    Raises:
        CorpusError: Two recordings would have the same name.
    """
    if len(listings) < 2:
        return list(listings)
    names: dict[str, Clip] = {}
    paths: set[str] = set()
    joined = []
    for listing in listings:
        kept: dict[str, Clip] = {}
        for clip in listing.clips:
            path = os.path.realpath(clip.path)
            known = names.get(clip.name)
            if path in paths:
                continue
            if known is None:
                kept[path] = clip
            elif not is_ravdess_name(clip.name):
                raise CorpusError(
                    f"{known.path} and {clip.path} would both be named {clip.name}; rename "
                    f"{listing.source}, whose name comes before those of its clips"
                )
        names |= {clip.name: clip for clip in kept.values()}
        paths |= set(kept)
        n_known = len(listing.clips) - len(kept)
        skipped = listing.skipped
        if n_known:
            skipped = (*skipped, ("listed by an earlier corpus too", n_known))
        joined.append(replace(listing, clips=tuple(kept.values()), skipped=skipped))
    return joined


def add_training_clips(protocol: Protocol, clips: Sequence[Clip]) -> Protocol:
    """Let further clips train in every fold, but those of its validation and test speakers.

    The protocol's own clips keep their roles, so its scores rest on the same test clips as without.

    Args:
        protocol: Folds over one corpus.
        clips: Clips of other corpora; RAVDESS' songs have the same speakers as its speech.

    Returns:
        The protocol with larger training sets.

    Example:
        >>> len(add_training_clips(protocol, songs).folds[0].train)  # doctest: +SKIP
        1617
    """
    return replace(protocol, folds=tuple(_extend_fold(fold, clips) for fold in protocol.folds))


def _extend_fold(fold: Fold, clips: Sequence[Clip]) -> Fold:
    held_out = {clip.speaker for clip in (*fold.validation, *fold.test)}
    return replace(fold, train=(*fold.train, *(c for c in clips if c.speaker not in held_out)))
