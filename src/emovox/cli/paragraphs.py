"""Sentences in lines of 80 columns."""

from textwrap import fill

import typer

WIDTH = 80


def echo_wrapped(text: str) -> None:
    """Print a paragraph in lines of 80 columns; a path stays whole."""
    typer.echo(fill(text, WIDTH, break_long_words=False, break_on_hyphens=False))
