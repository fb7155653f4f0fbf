"""Combine corpora for training without duplicate recordings or shared test speakers."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from emovox.corpora.clips import LISTED_BEFORE, LISTED_TWICE, Clip, CorpusListing
from emovox.corpora.folds import Fold, Protocol
from emovox.corpora.measure import ClipFacts, measure_clip
from emovox.corpora.ravdess import is_ravdess_name
from emovox.corpora.registry import CORPORA, identify_speaker
from emovox.errors import CorpusError


def join_listings(
    listings: Sequence[CorpusListing], *, compare_bytes: bool = True
) -> list[CorpusListing]:
    """Keep each recording once, in the first corpus that lists it.

    Two clips are the same recording if they have the same name (a list of RAVDESS files beside
    RAVDESS itself) or the same path; in user-supplied lists, also if their bytes are identical.

    Args:
        listings: The corpora in recipe order.
        compare_bytes: Whether to look for identical bytes; not needed if the decoded audio of the
            clips is compared afterwards.

    Returns:
        The same corpora, each without recordings that an earlier one lists.

    Raises:
        CorpusError: Two recordings would have the same name, or one has two labels.
    """
    every = [clip for listing in listings for clip in listing.clips]
    own = [clip for clip in every if clip.corpus not in CORPORA]
    if len(listings) < 2 and not own:
        return list(listings)
    # Only hash recordings that may be copies: RAVDESS alone is half a gigabyte.
    sizes = {_measure_size(clip.path) for clip in own}
    candidates = [clip for clip in every if _measure_size(clip.path) in sizes]
    copies = find_copies(candidates) if compare_bytes else {}
    names: dict[str, Clip] = {}
    paths: set[str] = set()
    joined = []
    for listing in listings:
        kept: dict[str, Clip] = {}
        n_twice = 0
        for clip in listing.clips:
            path = os.path.realpath(clip.path)
            known = names.get(clip.name)
            first = copies.get(clip.path)
            if path in paths:
                continue
            if first is not None:
                if first.emotion != clip.emotion and not _is_silent(clip.path):
                    raise CorpusError(
                        f"{clip.path} is {clip.emotion}, but {first.path}, the same recording, is "
                        f"{first.emotion}; expected one label per recording: correct the list"
                    )
                n_twice += os.path.realpath(first.path) in kept
            elif known is None:
                kept[path] = clip
            elif not is_ravdess_name(clip.name):
                raise CorpusError(
                    f"{known.path} and {clip.path} would both be named {clip.name}; rename "
                    f"{listing.source}, whose name comes before those of its clips"
                )
        names |= {clip.name: clip for clip in kept.values()}
        paths |= set(kept)
        n_before = len(listing.clips) - len(kept) - n_twice
        reasons = ((LISTED_TWICE, n_twice), (LISTED_BEFORE, n_before))
        skipped = (*listing.skipped, *(reason for reason in reasons if reason[1]))
        joined.append(replace(listing, clips=tuple(kept.values()), skipped=skipped))
    return joined


def find_copies(clips: Iterable[Clip]) -> dict[Path, Clip]:
    """Find recordings that are byte-for-byte copies of an earlier one.

    Args:
        clips: Clips to compare; the first one with a given content is the original.

    Returns:
        The original of each copy, by the copy's path. Empty files are not treated as copies.

    Examples:
        >>> find_copies([])
        {}
    """
    by_size: defaultdict[int, list[Clip]] = defaultdict(list)
    seen: set[Path] = set()
    for clip in clips:
        if clip.path not in seen:
            by_size[_measure_size(clip.path)].append(clip)
        seen.add(clip.path)
    copies = {}
    for size, alike in by_size.items():
        if not size or len(alike) < 2:
            continue
        first: dict[bytes, Clip] = {}
        for clip in alike:
            with clip.path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
            if first.setdefault(content, clip) is not clip:
                copies[clip.path] = first[content]
    return copies


def _is_silent(path: Path) -> bool:
    """Return whether a recording is digital silence, which is equal whatever its label."""
    facts = measure_clip(path)
    return isinstance(facts, ClipFacts) and facts.is_silent


def _measure_size(path: Path) -> int:
    """Return a file's size in bytes; 0 if it is missing, which decoding reports later."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def add_training_clips(protocol: Protocol, clips: Sequence[Clip]) -> Protocol:
    """Add clips of other corpora to every training set, except held-out speakers' clips.

    Clips of a fold's validation and test speakers are not added to that fold. The protocol's own
    clips keep their roles, so the test clips do not change.

    Args:
        protocol: Folds over one corpus.
        clips: Clips of other corpora; RAVDESS songs have the same speakers as RAVDESS speech.

    Returns:
        The protocol with larger training sets.
    """
    return replace(protocol, folds=tuple(_extend_fold(fold, clips) for fold in protocol.folds))


def _extend_fold(fold: Fold, clips: Sequence[Clip]) -> Fold:
    held_out = {identify_speaker(clip) for clip in (*fold.validation, *fold.test)}
    more = [clip for clip in clips if identify_speaker(clip) not in held_out]
    return replace(fold, train=(*fold.train, *more))
