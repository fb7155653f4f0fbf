"""Choose validation clips from a training set: whole speakers if they are known."""

from collections.abc import Sequence
from itertools import zip_longest

from emovox.corpora.clips import Clip

SPEAKER_SHARE = 1 / 6
CLIP_SHARE = 1 / 10
_FEWEST_CLIPS = 10


def hold_out(clips: Sequence[Clip], *, min_speakers: int) -> tuple[list[Clip], list[Clip]]:
    """Hold out clips of a training set for validation or calibration.

    Args:
        clips: All available training clips.
        min_speakers: With fewer speakers than this, a random tenth of the clips is held out
            instead of a sixth of the speakers; with fewer than ten clips, none.

    Returns:
        The training clips and the held-out clips, each in the order of ``clips``.
    """
    if len({clip.speaker for clip in clips if clip.has_speaker}) >= min_speakers:
        speakers = choose_validation_speakers(clips)
        names = {clip.name for clip in clips if clip.speaker in speakers}
    elif len(clips) >= _FEWEST_CLIPS:
        # Importing scikit-learn takes a second, so it is imported only for a split.
        from sklearn.model_selection import train_test_split

        ordered = sorted(clip.name for clip in clips)
        _, held = train_test_split(ordered, test_size=CLIP_SHARE, random_state=42)
        names = set(held)
    else:
        names = set()
    return [c for c in clips if c.name not in names], [c for c in clips if c.name in names]


def choose_validation_speakers(clips: Sequence[Clip]) -> set[str]:
    """Choose the validation speakers: the last ones, alternating women and men."""
    genders = {clip.speaker: clip.gender or "" for clip in clips if clip.has_speaker}
    if len(genders) < 2:
        return set()
    ordered = sorted(genders, key=lambda s: (len(s), s), reverse=True)
    groups = [[s for s in ordered if genders[s] == g] for g in sorted(set(genders.values()))]
    in_turn = [s for turn in zip_longest(*groups) for s in turn if s is not None]
    return set(in_turn[: max(1, round(SPEAKER_SHARE * len(in_turn)))])
