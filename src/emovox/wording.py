"""Words that stand in many messages, written once."""


def count(number: int, noun: str) -> str:
    """Return a number with its noun.

    Args:
        number: How many.
        noun: In the singular; its plural takes an s.

    Examples:
        >>> count(1, "seed"), count(1_440, "clip")
        ('1 seed', '1,440 clips')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def name_speaker_rule(independent: bool) -> str:
    """Return the words that stand beside every score: whether test speakers also train.

    Examples:
        >>> name_speaker_rule(True)
        'speaker-independent'
    """
    return "speaker-independent" if independent else "speaker-dependent"
