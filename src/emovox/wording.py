"""Phrases shared by many messages, and text that is safe to show."""

import unicodedata

_UNSAFE = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories: control and format characters, lone surrogates, line and paragraph ends."""
_JOINERS = "\u200c\u200d"
"""Format characters that Persian, Hindi and many emoji are spelled with."""


def make_printable(text: str) -> str:
    r"""Escape the characters of a text that would control a terminal, or mislead its reader.

    Args:
        text: Any text, such as a file name or the reply of a server.

    Returns:
        The text on one line, with control characters, line breaks, marks that change the direction
        of writing or are invisible, and bytes that are not UTF-8 as Python escapes.

    Examples:
        >>> make_printable("größe 1.wav"), make_printable("a\x1b[31m\n\u202egpj.wav")
        ('größe 1.wav', 'a\\x1b[31m\\n\\u202egpj.wav')
    """
    if text.isprintable():
        return text
    return "".join(ascii(char)[1:-1] if is_unsafe(char) else char for char in text)


def is_unsafe(char: str) -> bool:
    """Return whether a character must not reach a terminal."""
    return unicodedata.category(char) in _UNSAFE and char not in _JOINERS


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
