"""Wrap text at 80 columns."""

from textwrap import fill

import typer

WIDTH = 80


def echo_wrapped(text: str) -> None:
    """Print a paragraph wrapped at 80 columns, without breaking paths."""
    typer.echo(fill(text, WIDTH, break_long_words=False, break_on_hyphens=False))
