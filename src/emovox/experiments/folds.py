"""Build the folds of a recipe's protocol from its corpora."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from emovox.corpora.check import check_clips
from emovox.corpora.clips import LISTED_BEFORE, Clip, CorpusListing
from emovox.corpora.combine import add_training_clips
from emovox.corpora.cross import list_corpora, make_cross, parse_cross
from emovox.corpora.findings import Verdict, check_speakers
from emovox.corpora.folds import (
    Fold,
    Protocol,
    check_labels,
    describe_rare_labels,
    doubt_speakers,
    find_absent_labels,
)
from emovox.corpora.loco import LOCO, count_calm_as_neutral
from emovox.corpora.measure import ClipFacts, Measured, measure_clips
from emovox.corpora.protocols import RAVDESS_PROTOCOLS, choose_protocol, make_protocol
from emovox.corpora.read import load_listings
from emovox.corpora.splits import read_split
from emovox.errors import CorpusError, ProtocolError
from emovox.labels import EMOTIONS, order_labels
from emovox.progress import Watcher
from emovox.recipes.recipe import Recipe


def load_protocol(
    recipe: Recipe,
    data: Path | None,
    *,
    n_splits: int | None = None,
    split: Path | None = None,
    allow_speaker_overlap: bool = False,
    allow_similar_speakers: bool = False,
    may_choose: bool = False,
    watcher: Watcher | None = None,
) -> Protocol:
    """Build the folds of a recipe's protocol, and check their clips.

    Every clip is decoded once, or its figures are read from the cache. Clips that cannot be used,
    and further copies of the same audio, are left out.

    Args:
        recipe: Names the corpora, the protocol and, optionally, a subset of labels and actors.
            The protocol splits the first corpus. Clips of the other corpora are used for
            training, except those of a fold's validation and test speakers.
        data: Folder of the corpora; ``None`` searches the usual places.
        n_splits: Keep only the first folds.
        split: Custom split that replaces the recipe's protocol.
        allow_speaker_overlap: Allow a custom split, or two corpora, with test speakers in training.
        allow_similar_speakers: Treat speakers of a list whose names differ only in case, zeros or
            blanks as different people.
        may_choose: Choose another protocol if the recipe's is specific to RAVDESS, but its first
            corpus is not RAVDESS.
        watcher: Receives progress updates.

    Returns:
        The protocol with its folds, and what the check found.

    Raises:
        CorpusError: The corpus was not found, has no clip of a label in the recipe, has speakers
            whose names look alike, or has the same audio under two labels or speakers.
        ProtocolError: The protocol does not fit the corpus.
    """
    names = list_corpora(recipe.data.protocol, recipe.data.corpora)
    # The check compares the decoded audio.
    listings = load_listings(data, names, compare_bytes=False)
    notes = describe_left_out(recipe, listings)
    corpora = [choose_clips(recipe, listing.clips) for listing in listings]
    clips = [clip for corpus in corpora for clip in corpus]
    if not allow_similar_speakers:
        refuse_similar_speakers(clips)

    def build() -> Protocol:
        if split is not None:
            return read_split(split, clips, allow_speaker_overlap=allow_speaker_overlap)
        return build_folds(recipe, corpora, n_splits, allow_speaker_overlap, may_choose=may_choose)

    name = recipe.data.protocol
    is_apart = (parse_cross(name) or name == LOCO) and split is None and not allow_speaker_overlap
    if is_apart:
        for listing in listings if name == LOCO else listings[-1:]:
            n_shared = dict(listing.skipped).get(LISTED_BEFORE, 0)
            refuse_shared_recordings(name, listing, n_shared)
    protocol = build()
    measured = measure_protocol(protocol, watcher)
    used = {clip.name for clip in protocol.clips}
    check = check_clips(
        [clip for clip in clips if clip.name in used],
        measured,
        listings,
        names=names,
        allow_similar_speakers=allow_similar_speakers,
    )
    check.refuse_false_scores()
    if is_apart:
        of_fold = {listing.corpus: listing for listing in listings}
        for fold in protocol.folds:
            tested = of_fold.get(fold.name, listings[-1])
            refuse_shared_recordings(name, tested, count_shared_audio(fold, measured))
    if check.left_out and split is not None:
        protocol = leave_out(protocol, check.left_out)
    elif check.left_out:
        corpora = [[c for c in corpus if c.name not in check.left_out] for corpus in corpora]
        protocol = build()
    check_labels(protocol)
    protocol = doubt_speakers(protocol)
    if protocol.labels != EMOTIONS:
        notes.append(f"{len(protocol.labels)} labels: {', '.join(protocol.labels)}")
    notes += [*describe_rare_labels(protocol), *protocol.notes]
    check = replace(check, findings=(*check.findings, *find_absent_labels(protocol)))
    return replace(protocol, notes=tuple(notes), check=check)


def build_folds(
    recipe: Recipe,
    corpora: Sequence[Sequence[Clip]],
    n_splits: int | None,
    allow_speaker_overlap: bool,
    *,
    may_choose: bool,
) -> Protocol:
    """Build the folds of a recipe's protocol from the clips of its corpora."""
    name = recipe.data.protocol
    if parse_cross(name):
        return make_cross(
            name,
            [clip for corpus in corpora[:-1] for clip in corpus],
            corpora[-1],
            allow_speaker_overlap=allow_speaker_overlap,
        )
    if name in ("everything", LOCO):
        if name == LOCO:
            refuse_equal_names(corpora)
        return make_protocol(
            name,
            [clip for corpus in corpora for clip in corpus],
            n_splits=n_splits,
            allow_speaker_overlap=allow_speaker_overlap,
        )
    notes: tuple[str, ...] = ()
    if may_choose and name in RAVDESS_PROTOCOLS and recipe.data.corpora[0] != "ravdess":
        name, reason = choose_protocol(corpora[0])
        notes = (
            f"protocol {name} for {recipe.data.corpora[0]}: {reason} (name another by "
            "--protocol; everything trains one model on all clips)",
        )
    protocol = make_protocol(name, corpora[0], n_splits=n_splits)
    protocol = add_training_clips(protocol, [c for corpus in corpora[1:] for c in corpus])
    return replace(protocol, notes=(*notes, *protocol.notes))


def check_protocol(protocol: Protocol, watcher: Watcher | None = None) -> Protocol:
    """Check the clips of a protocol that ``load_protocol`` did not make.

    Raises:
        CorpusError: A clip cannot be used, or the same audio has two labels or speakers.
    """
    check = check_clips(protocol.clips, measure_protocol(protocol, watcher))
    check.refuse_false_scores()
    for finding in check.findings:
        if finding.verdict is Verdict.LEFT_OUT:
            raise CorpusError(
                f"{finding.check}: {finding.detail}; expected clips that can be used, each once: "
                "leave these out, or make the folds with load_protocol, which does"
            )
    return replace(
        protocol,
        check=replace(check, findings=(*check.findings, *find_absent_labels(protocol))),
    )


def measure_protocol(protocol: Protocol, watcher: Watcher | None) -> Measured:
    """Measure every clip of a protocol, with progress."""
    watcher = watcher or Watcher()
    clips = protocol.clips
    watcher.start_clips("check of the clips", len(clips))
    return measure_clips(clips, report=lambda _done, _all: watcher.end_clip())


def leave_out(protocol: Protocol, names: Collection[str]) -> Protocol:
    """Return a protocol without some of its clips.

    Raises:
        ProtocolError: No clip is left to test in a fold.
    """

    def keep(clips: Sequence[Clip]) -> tuple[Clip, ...]:
        return tuple(clip for clip in clips if clip.name not in names)

    folds = []
    for fold in protocol.folds:
        test = keep(fold.test)
        if fold.test and not test:
            raise ProtocolError(
                f"{protocol.name}, fold {fold.name}: none of {len(fold.test):,} test clips can be "
                "used; run 'emovox data verify' to see why"
            )
        kept = replace(fold, train=keep(fold.train), validation=keep(fold.validation), test=test)
        folds.append(kept)
    return replace(protocol, folds=tuple(folds))


def refuse_equal_names(corpora: Sequence[Sequence[Clip]]) -> None:
    """Refuse corpora of one name, which would be left out together."""
    names = Counter(name for clips in corpora for name in {clip.corpus for clip in clips})
    for name, n_corpora in names.items():
        if n_corpora > 1:
            raise ProtocolError(
                f"loco: {n_corpora} corpora are named {name}; expected a different name for each, "
                "as folds are named by the corpus left out: rename a list or folder"
            )


def refuse_similar_speakers(clips: Sequence[Clip]) -> None:
    """Refuse speakers whose names look like one name written in two ways, before any decoding."""
    for finding in check_speakers(clips):
        raise CorpusError(finding.detail, code="corpus.similar_speakers")


def name_protocol(recipe: Recipe, protocol: Protocol) -> Recipe:
    """Return the recipe with the name of the protocol that ``load_protocol`` chose for it."""
    data = recipe.data.model_copy(update={"protocol": protocol.name})
    return recipe.model_copy(update={"data": data})


def choose_clips(recipe: Recipe, clips: Sequence[Clip]) -> list[Clip]:
    """Return the clips of the recipe's speakers and labels."""
    actors = {str(actor) for actor in recipe.data.actors}
    labels, left_out = recipe.data.labels, set(recipe.data.without_speakers)
    if recipe.data.calm_is_neutral:
        clips = count_calm_as_neutral(clips)
    return [
        clip
        for clip in clips
        if (clip.speaker in actors or not (actors and is_ravdess(clip)))
        and clip.speaker not in left_out
        and (clip.emotion in labels or not labels)
    ]


def describe_left_out(recipe: Recipe, listings: Sequence[CorpusListing]) -> list[str]:
    """Report the clips that the recipe's labels leave out; refuse labels without a clip."""
    labels = recipe.data.labels
    if not labels:
        return []
    found = Counter(clip.emotion for listing in listings for clip in listing.clips)
    unknown = [label for label in labels if label not in found]
    if unknown:
        raise CorpusError(
            f"no clip is labelled {', '.join(unknown)}, which data.labels names; found "
            f"{', '.join(order_labels(found))}"
        )
    left_out = [f"{label} {found[label]:,}" for label in order_labels(set(found) - set(labels))]
    return [f"left out by data.labels: {', '.join(left_out)}"] if left_out else []


def count_shared_audio(fold: Fold, measured: Measured) -> int:
    """Count a fold's test clips whose decoded audio it trains on."""
    trained = {
        facts.content
        for clip in (*fold.train, *fold.validation)
        if isinstance(facts := measured[clip.path], ClipFacts) and not facts.is_silent
    }
    tested = (measured[clip.path] for clip in fold.test)
    return sum(isinstance(facts, ClipFacts) and facts.content in trained for facts in tested)


def refuse_shared_recordings(name: str, tested: CorpusListing, n_shared: int) -> None:
    """Refuse a test corpus that shares recordings with the training corpora."""
    if n_shared:
        raise ProtocolError(
            f"{name}: {n_shared:,} recordings of {tested.source} are in training too, so its "
            "speakers are not unseen; take them out of one, or pass --allow-speaker-overlap to "
            "test the others and get a speaker-dependent score"
        )


def is_ravdess(clip: Clip) -> bool:
    """Return whether an actor of RAVDESS speaks or sings in a clip."""
    return clip.speaker.isdecimal()
