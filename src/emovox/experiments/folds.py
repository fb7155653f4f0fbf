"""Build the folds of a recipe's protocol from its corpora."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from emovox.corpora.clips import Clip, CorpusListing
from emovox.corpora.combine import LISTED_BEFORE, add_training_clips
from emovox.corpora.cross import list_corpora, make_cross, parse_cross
from emovox.corpora.folds import Protocol, check_labels, describe_rare_labels, doubt_speakers
from emovox.corpora.protocols import RAVDESS_PROTOCOLS, choose_protocol, make_protocol
from emovox.corpora.read import load_listings
from emovox.corpora.splits import read_split
from emovox.errors import CorpusError, ProtocolError
from emovox.labels import EMOTIONS, order_labels
from emovox.recipes.recipe import Recipe


def load_protocol(
    recipe: Recipe,
    data: Path | None,
    *,
    n_splits: int | None = None,
    split: Path | None = None,
    allow_speaker_overlap: bool = False,
    may_choose: bool = False,
) -> Protocol:
    """Build the folds of a recipe's protocol.

    Args:
        recipe: Names the corpora, the protocol and, optionally, a subset of labels and actors.
            The protocol splits the first corpus. Clips of the other corpora are used for
            training, except those of a fold's validation and test speakers.
        data: Folder of the corpora; ``None`` searches the usual places.
        n_splits: Keep only the first folds.
        split: Custom split that replaces the recipe's protocol.
        allow_speaker_overlap: Allow a custom split, or two corpora, with test speakers in training.
        may_choose: Choose another protocol if the recipe's is specific to RAVDESS, but its first
            corpus is not RAVDESS.

    Returns:
        The protocol with its folds.

    Raises:
        CorpusError: The corpus was not found, or has no clip of a label in the recipe.
        ProtocolError: The protocol does not fit the corpus.
    """
    name = recipe.data.protocol
    listings = load_listings(data, list_corpora(name, recipe.data.corpora))
    corpora = [choose_clips(recipe, listing.clips) for listing in listings]
    clips = [clip for corpus in corpora for clip in corpus]
    notes = [note for listing in listings for note in listing.describe_unused()]
    notes += describe_left_out(recipe, listings)
    if split is not None:
        protocol = read_split(split, clips, allow_speaker_overlap=allow_speaker_overlap)
    elif parse_cross(name):
        if not allow_speaker_overlap:
            refuse_shared_recordings(name, listings[-1])
        protocol = make_cross(
            name,
            [clip for corpus in corpora[:-1] for clip in corpus],
            corpora[-1],
            allow_speaker_overlap=allow_speaker_overlap,
        )
    elif name == "everything":
        protocol = make_protocol(name, clips)
    else:
        if may_choose and name in RAVDESS_PROTOCOLS and recipe.data.corpora[0] != "ravdess":
            name, reason = choose_protocol(corpora[0])
            notes.append(
                f"protocol {name} for {recipe.data.corpora[0]}: {reason} (name another by "
                "--protocol; everything trains one model on all clips)"
            )
        protocol = make_protocol(name, corpora[0], n_splits=n_splits)
        more = [clip for corpus in corpora[1:] for clip in corpus]
        protocol = add_training_clips(protocol, more)
    check_labels(protocol)
    protocol = doubt_speakers(protocol)
    if protocol.labels != EMOTIONS:
        notes.append(f"{len(protocol.labels)} labels: {', '.join(protocol.labels)}")
    notes += [*describe_rare_labels(protocol), *protocol.notes]
    return replace(protocol, notes=tuple(notes))


def name_protocol(recipe: Recipe, protocol: Protocol) -> Recipe:
    """Return the recipe with the name of the protocol that ``load_protocol`` chose for it."""
    data = recipe.data.model_copy(update={"protocol": protocol.name})
    return recipe.model_copy(update={"data": data})


def choose_clips(recipe: Recipe, clips: Sequence[Clip]) -> list[Clip]:
    """Return the clips of the recipe's actors and labels."""
    actors = {str(actor) for actor in recipe.data.actors}
    labels = recipe.data.labels
    return [
        clip
        for clip in clips
        if (clip.speaker in actors or not (actors and is_ravdess(clip)))
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


def refuse_shared_recordings(name: str, tested: CorpusListing) -> None:
    """Refuse a test corpus that shares recordings with the training corpora."""
    n_shared = dict(tested.skipped).get(LISTED_BEFORE, 0)
    if n_shared:
        raise ProtocolError(
            f"{name}: {n_shared:,} recordings of {tested.source} are in training too, so its "
            "speakers are not unseen; take them out of one, or pass --allow-speaker-overlap to "
            "test the others and get a speaker-dependent score"
        )


def is_ravdess(clip: Clip) -> bool:
    """Return whether an actor of RAVDESS speaks or sings in a clip."""
    return clip.speaker.isdecimal()
