"""Wrap text at 80 columns."""

from textwrap import wrap

from emovox.cli.terminal import echo

WIDTH = 80


def echo_wrapped(text: str, indent: int = 0) -> None:
    """Print a paragraph wrapped at 80 columns, without breaking paths.

    Args:
        text: The paragraph.
        indent: Blanks before its first line; the others have two more if there are any.
    """
    first = " " * indent
    rest = first + "  " if indent else ""
    for line in wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ):
        echo(line)
