"""The folds that a recipe asks for, out of the corpora that it names."""

from dataclasses import replace
from pathlib import Path

from emovox.corpora.clips import Clip
from emovox.corpora.combine import add_training_clips
from emovox.corpora.cross import list_corpora, make_cross, parse_cross
from emovox.corpora.protocols import Protocol, make_protocol, read_split
from emovox.corpora.read import load_listings
from emovox.recipes.recipe import Recipe


def load_protocol(
    recipe: Recipe,
    data: Path | None,
    *,
    n_splits: int | None = None,
    split: Path | None = None,
    allow_speaker_overlap: bool = False,
) -> Protocol:
    """Make the folds that a recipe asks for.

    Args:
        recipe: Names the corpora, the protocol and, where not all take part, the actors. The
            protocol splits the first corpus; clips of the others train, but those of a fold's
            validation and test speakers.
        data: Where the corpus lies; ``None``: the usual places.
        n_splits: Keep only the first folds.
        split: A custom split instead of the recipe's protocol.
        allow_speaker_overlap: Take a custom split that tests training speakers.

    Returns:
        The protocol with its folds.

    Raises:
        CorpusError: The corpus is not here.
        ProtocolError: The protocol cannot be made of it.
    """
    actors = {str(actor) for actor in recipe.data.actors}
    listings = load_listings(data, list_corpora(recipe.data.protocol, recipe.data.corpora))
    corpora = [
        [c for c in listing.clips if c.speaker in actors or not (actors and is_ravdess(c))]
        for listing in listings
    ]
    if split is not None:
        clips = [clip for corpus in corpora for clip in corpus]
        protocol = read_split(split, clips, allow_speaker_overlap=allow_speaker_overlap)
    elif parse_cross(recipe.data.protocol):
        *trained, tested = corpora
        clips = [clip for corpus in trained for clip in corpus]
        protocol = make_cross(recipe.data.protocol, clips, tested)
    else:
        protocol = make_protocol(recipe.data.protocol, corpora[0], n_splits=n_splits)
        more = [clip for corpus in corpora[1:] for clip in corpus]
        protocol = add_training_clips(protocol, more)
    notes = [note for listing in listings for note in listing.describe_unused()]
    return replace(protocol, notes=(*notes, *protocol.notes))


def is_ravdess(clip: Clip) -> bool:
    """Return whether an actor of RAVDESS speaks or sings in a clip."""
    return clip.speaker.isdecimal()
