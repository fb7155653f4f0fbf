"""Which clips of a training set validate: whole speakers where they are known."""

from collections.abc import Sequence
from itertools import zip_longest

from emovox.corpora.clips import Clip

SPEAKER_SHARE = 1 / 6
CLIP_SHARE = 1 / 10
_FEWEST_CLIPS = 10


def hold_out(clips: Sequence[Clip], *, min_speakers: int) -> tuple[list[Clip], list[Clip]]:
    """Take clips out of a training set to validate or calibrate on.

    Args:
        clips: All clips that may train.
        min_speakers: With fewer speakers than these, a random tenth of the clips is held out
            instead of a sixth of the speakers; of fewer than ten clips, none.

    Returns:
        Those that train, and those held out, in the order of the clips.

    Example:
        >>> train, validation = hold_out(clips, min_speakers=3)  # doctest: +SKIP
    """
    if len({clip.speaker for clip in clips if clip.has_speaker}) >= min_speakers:
        speakers = choose_validation_speakers(clips)
        names = {clip.name for clip in clips if clip.speaker in speakers}
    elif len(clips) >= _FEWEST_CLIPS:
        # Importing scikit-learn takes a second: only when a split is made.
        from sklearn.model_selection import train_test_split

        ordered = sorted(clip.name for clip in clips)
        _, held = train_test_split(ordered, test_size=CLIP_SHARE, random_state=42)
        names = set(held)
    else:
        names = set()
    return [c for c in clips if c.name not in names], [c for c in clips if c.name in names]


def choose_validation_speakers(clips: Sequence[Clip]) -> set[str]:
    """Choose the training speakers who validate: the last ones, women and men in turn."""
    genders = {clip.speaker: clip.gender or "" for clip in clips if clip.has_speaker}
    if len(genders) < 2:
        return set()
    ordered = sorted(genders, key=lambda s: (len(s), s), reverse=True)
    groups = [[s for s in ordered if genders[s] == g] for g in sorted(set(genders.values()))]
    in_turn = [s for turn in zip_longest(*groups) for s in turn if s is not None]
    return set(in_turn[: max(1, round(SPEAKER_SHARE * len(in_turn)))])
