"""Wrap text at 80 columns."""

from textwrap import wrap

from emovox.cli.terminal import echo

WIDTH = 80


def echo_wrapped(text: str) -> None:
    """Print a paragraph wrapped at 80 columns, without breaking paths."""
    for line in wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False):
        echo(line)
