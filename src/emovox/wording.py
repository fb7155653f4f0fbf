"""Phrases shared by many messages."""


def count(number: int, noun: str) -> str:
    """Return a number followed by its noun, in the plural unless the number is 1.

    Args:
        number: The number.
        noun: Singular noun whose plural ends in s.

    Examples:
        >>> count(1, "seed"), count(1_440, "clip")
        ('1 seed', '1,440 clips')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def name_speaker_rule(independent: bool) -> str:
    """Return the term for whether test speakers were excluded from training.

    Examples:
        >>> name_speaker_rule(True)
        'speaker-independent'
    """
    return "speaker-independent" if independent else "speaker-dependent"
