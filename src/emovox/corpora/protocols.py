"""Evaluation protocols: named, fixed lists of training, validation and test clips.

Scores are only comparable within one protocol and version. A fold's test clips are used once, at
the end. Early stopping and learning-rate schedules use its validation clips, which are whole
speakers in speaker-independent protocols.
"""

from collections.abc import Sequence
from dataclasses import replace

from emovox.corpora.clips import Clip
from emovox.corpora.folds import Fold, Protocol, check_folds, find_shared_speakers
from emovox.corpora.held_out import hold_out
from emovox.corpora.loco import LOCO, split_corpora
from emovox.errors import ProtocolError

REFERENCE_ACTORS = ("1", "2", "3", "4")

# The EmoBox benchmark's folds (Ma et al. 2024).
EMOBOX_TEST_ACTORS = (
    (1, 11, 20, 21),
    (4, 10, 12, 14),
    (8, 9, 19, 23),
    (3, 5, 7, 24),
    (2, 15, 16, 18),
    (6, 13, 17, 22),
)

# The folds of Luna-Jimenez et al. (2021).
LUNA_TEST_ACTORS = (
    (2, 5, 14, 15, 16),
    (3, 6, 7, 13, 18),
    (10, 11, 12, 19, 20),
    (8, 17, 21, 23, 24),
    (1, 4, 9, 22),
)


PROTOCOLS: dict[str, str] = {
    "reference": "actors 1-4, one random split 168/36/36; speaker-dependent",
    "reference-repeated": "actors 1-4, 20 random splits 168/36/36; speaker-dependent",
    "random-10": "10 shuffled folds; speaker-dependent",
    "emobox-6": "6 folds over the actors, as in EmoBox; speaker-independent",
    "seen-words": "emobox-6 on one sentence at a time, 12 folds; speaker-independent",
    "unseen-words": "seen-words, but tested on the other sentence, 12 folds; speaker-independent",
    "luna-5": "5 folds over the actors, as in Luna-Jimenez et al.; speaker-independent",
    "loso": "leave one speaker out, in any corpus with speakers; speaker-independent",
    "speaker-folds": "5 folds over whole speakers, in any corpus; speaker-independent",
    LOCO: "leave one corpus out, of two or more, over the labels that it shares with the others, "
    "calm counted as neutral; speaker-independent",
    "everything": "train on all clips and test on none: for a model to ship, not for a score",
}
"""Protocols by name, with descriptions for help texts and errors."""

RAVDESS_PROTOCOLS = (
    "reference",
    "reference-repeated",
    "emobox-6",
    "seen-words",
    "unseen-words",
    "luna-5",
)
"""Protocols that require RAVDESS actors."""

OTHER_PROTOCOLS = "for another corpus, name loso, speaker-folds or random-10"

_FEWEST_SPEAKERS = 3
_MANY_SPEAKERS = 10


def make_protocol(
    name: str,
    clips: Sequence[Clip],
    *,
    n_splits: int | None = None,
    allow_speaker_overlap: bool = False,
) -> Protocol:
    """Make a protocol's folds from a corpus.

    Args:
        name: One of ``PROTOCOLS``.
        clips: The corpus; for ``loco``, the clips of all corpora.
        n_splits: Number of folds to keep, for a quick check; ``None``: all of them.
        allow_speaker_overlap: Accept corpora that share speakers and report their scores as
            speaker-dependent; only ``loco`` needs it.

    Returns:
        The protocol; its description mentions a reduced number of folds.

    Raises:
        ProtocolError: The name is unknown, or the corpus lacks what the protocol needs.
    """
    if name not in PROTOCOLS:
        raise ProtocolError(
            f"no protocol named {name!r}; known: {', '.join(PROTOCOLS)}, and cross:A->B for two "
            "corpora"
        )
    protocol = build_protocol(name, clips)
    if n_splits is not None and n_splits < len(protocol.folds):
        if n_splits < 1:
            raise ProtocolError(f"{n_splits} splits requested of {name}; expected at least 1")
        note = f"{protocol.description}; only the first {n_splits} of {len(protocol.folds)} folds"
        protocol = replace(protocol, description=note, folds=protocol.folds[:n_splits])
    if allow_speaker_overlap and any(find_shared_speakers(fold) for fold in protocol.folds):
        protocol = replace(protocol, speaker_independent=False)
    check_folds(protocol)
    return protocol


def choose_protocol(clips: Sequence[Clip]) -> tuple[str, str]:
    """Choose a protocol for a corpus if the user did not.

    Args:
        clips: The corpus.

    Returns:
        The protocol's name, and the reason for the choice.

    Examples:
        >>> choose_protocol([])[0]
        'random-10'
    """
    known = len({clip.speaker for clip in clips if clip.has_speaker})
    if known < _FEWEST_SPEAKERS:
        return "random-10", (
            f"{known} of its speakers are known, too few to test unseen ones: say who speaks in a "
            "column 'speaker'"
        )
    if known <= _MANY_SPEAKERS:
        return "loso", f"each of its {known} speakers is tested in turn"
    return "speaker-folds", f"its {known} speakers are tested in 5 groups"


def build_protocol(name: str, clips: Sequence[Clip]) -> Protocol:
    """Build the folds of a known protocol."""
    independent = PROTOCOLS[name].endswith("speaker-independent")
    notes: list[str] = []
    if name == "reference":
        folds = [split_reference(clips, "01", 42)]
    elif name == "reference-repeated":
        states = range(42, 62)
        folds = [split_reference(clips, f"{i:02d}", s) for i, s in enumerate(states, 1)]
    elif name == "random-10":
        folds = split_shuffled(clips)
    elif name == "everything":
        # The validation clips are also trained on, after calibration.
        train, validation = hold_out(clips, min_speakers=_FEWEST_SPEAKERS)
        folds = [Fold("01", tuple(train), tuple(validation), ())]
    elif name == LOCO:
        folds, notes = split_corpora(clips)
    elif name == "speaker-folds":
        folds = split_speakers(clips, group_speakers(clips))
    elif name == "loso":
        speakers = list_speakers(name, clips, _FEWEST_SPEAKERS)
        # Two validation speakers: a man and a woman, as RAVDESS actors alternate.
        # With five or fewer speakers only one, or too few would be left for training.
        n_validation = 2 if len(speakers) > 5 else 1
        folds = split_speakers(clips, [(s,) for s in speakers], n_validation=n_validation)
    elif name in ("seen-words", "unseen-words"):
        folds = split_sentences(clips, name)
    else:
        actors = EMOBOX_TEST_ACTORS if name == "emobox-6" else LUNA_TEST_ACTORS
        folds = split_speakers(clips, [tuple(map(str, fold)) for fold in actors])
    version = 2 if name == "everything" else 1
    return Protocol(name, version, PROTOCOLS[name], independent, tuple(folds), tuple(notes))


def split_reference(clips: Sequence[Clip], name: str, random_state: int) -> Fold:
    """Split actors 1-4 as the reference did: 70/15/15 at random, with shared speakers."""
    # Importing scikit-learn takes a second, so it is imported only for a split.
    from sklearn.model_selection import train_test_split

    chosen = [c for c in clips if c.speaker in REFERENCE_ACTORS]
    found = sorted({c.speaker for c in chosen})
    if found != sorted(REFERENCE_ACTORS):
        raise ProtocolError(
            f"the reference protocol needs RAVDESS actors 1-4; found {', '.join(found) or 'none'}; "
            f"{OTHER_PROTOCOLS}"
        )
    chosen.sort(key=lambda c: (int(c.speaker), c.name))
    train, rest = train_test_split(chosen, test_size=0.3, random_state=random_state)
    validation, test = train_test_split(rest, test_size=0.5, random_state=random_state)
    return Fold(name, tuple(train), tuple(validation), tuple(test))


def split_shuffled(clips: Sequence[Clip]) -> list[Fold]:
    """Split into TIM-Net's 10 shuffled folds; the next fold's test clips are for validation."""
    from sklearn.model_selection import KFold

    ordered = sorted(clips, key=lambda c: c.name)
    if len(ordered) < 10:
        raise ProtocolError(
            f"random-10 needs at least 10 clips; found {len(ordered)}: add recordings, or name the "
            "protocol everything, which trains on all and tests none"
        )
    parts = [
        {ordered[i].name for i in test}
        for _, test in KFold(10, shuffle=True, random_state=46).split(ordered)
    ]
    return [
        make_fold(ordered, f"{i:02d}", test=part, validation=parts[i % len(parts)])
        for i, part in enumerate(parts, 1)
    ]


def make_fold(clips: Sequence[Clip], name: str, *, test: set[str], validation: set[str]) -> Fold:
    """Make a fold from the names of its test and validation clips; train on the rest."""
    return Fold(
        name,
        train=tuple(c for c in clips if c.name not in test | validation),
        validation=tuple(c for c in clips if c.name in validation),
        test=tuple(c for c in clips if c.name in test),
    )


def list_speakers(name: str, clips: Sequence[Clip], at_least: int) -> list[str]:
    """Return all speakers in order; refuse too few of them."""
    speakers = sorted({c.speaker for c in clips}, key=lambda s: (len(s), s))
    n_known = len({c.speaker for c in clips if c.has_speaker})
    if n_known < at_least:
        hint = (
            "say who speaks in a column 'speaker' of a manifest, or use random-10, whose scores "
            "are speaker-dependent"
        )
        raise ProtocolError(
            f"{name} needs at least {at_least} known speakers; found {n_known} among "
            f"{len(clips):,} clips: {'use loso' if n_known >= _FEWEST_SPEAKERS else hint}"
        )
    n_unknown = sum(not clip.has_speaker for clip in clips)
    if n_unknown:
        raise ProtocolError(
            f"{name} tests unseen speakers, but {n_unknown:,} of {len(clips):,} clips do not say "
            "who speaks, and their speakers may be in training; fill in the speaker of each clip, "
            "take these clips out of the list, or name the protocol random-10, whose scores are "
            "speaker-dependent",
            code="protocol.speaker_unknown",
        )
    return speakers


def group_speakers(clips: Sequence[Clip]) -> list[tuple[str, ...]]:
    """Divide the speakers into 5 groups with similar numbers of clips."""
    from sklearn.model_selection import GroupKFold

    list_speakers("speaker-folds", clips, 5)
    ordered = sorted(clips, key=lambda c: (len(c.speaker), c.speaker, c.name))
    speakers = [c.speaker for c in ordered]
    parts = GroupKFold(5).split(ordered, groups=speakers)
    return [tuple(dict.fromkeys(speakers[i] for i in test)) for _, test in parts]


def split_speakers(
    clips: Sequence[Clip], groups: Sequence[tuple[str, ...]], *, n_validation: int | None = None
) -> list[Fold]:
    """Make one fold per group of test speakers, with the next speakers for validation.

    Args:
        clips: The corpus.
        groups: Test speakers of each fold.
        n_validation: Number of validation speakers; ``None``: the whole next group.
    """
    present = {c.speaker for c in clips}
    missing = sorted({s for g in groups for s in g} - present, key=lambda s: (len(s), s))
    if missing:
        raise ProtocolError(
            f"this protocol needs RAVDESS' speakers {', '.join(missing)}; none of their clips "
            f"found; {OTHER_PROTOCOLS}"
        )
    folds = []
    for i, group in enumerate(groups):
        following = [s for g in (*groups[i + 1 :], *groups[:i]) for s in g]
        validating = following[: n_validation or len(groups[(i + 1) % len(groups)])]
        test = {c.name for c in clips if c.speaker in group}
        validation = {c.name for c in clips if c.speaker in validating}
        folds.append(make_fold(clips, f"{i + 1:02d}", test=test, validation=validation))
    return folds


def split_sentences(clips: Sequence[Clip], name: str) -> list[Fold]:
    """Split emobox-6 by sentence: train on one, test on the same or the other one.

    Both protocols train the same models, so their scores differ only by the spoken words.
    """
    sentences = sorted({c.sentence for c in clips if c.sentence})
    if len(sentences) != 2 or not all(c.sentence for c in clips):
        raise ProtocolError(
            f"{name} needs a corpus that names one of two sentences for every clip, as RAVDESS "
            f"does; found {len(sentences)} sentences: use emobox-6 or loso instead"
        )

    def keep(part: tuple[Clip, ...], sentence: str) -> tuple[Clip, ...]:
        return tuple(c for c in part if c.sentence == sentence)

    folds: list[Fold] = []
    for fold in split_speakers(clips, [tuple(map(str, fold)) for fold in EMOBOX_TEST_ACTORS]):
        for trained, other in (sentences, sentences[::-1]):
            tested = trained if name == "seen-words" else other
            number = f"{len(folds) + 1:02d}"
            train, validation = keep(fold.train, trained), keep(fold.validation, trained)
            folds.append(Fold(number, train, validation, keep(fold.test, tested)))
    return folds
