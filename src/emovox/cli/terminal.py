"""The only way of text to the terminal: what could control it or forge lines is escaped."""

import json
from pathlib import Path
from typing import Any

import typer

from emovox.wording import make_printable


def echo(text: object = "", *, err: bool = False) -> None:
    """Print one line, with control characters escaped, line breaks included."""
    typer.echo(make_printable(str(text)), err=err)


def echo_json(value: Any, *, indent: int | None = 2) -> None:
    """Print JSON in ASCII; names that are not text are escaped, as strict parsers refuse them."""
    typer.echo(json.dumps(_replace_surrogates(value), indent=indent))


def path_to_text(path: str, encoding: str = "utf-8") -> str:
    r"""Return a path as programs can read it: an odd one as a ``file:`` URI.

    Args:
        path: A path, as Python decodes file names.
        encoding: Encoding of the output.

    Returns:
        The path itself, or, if it contains control characters, invisible marks, or characters
        that the encoding lacks, its absolute path as a URI (RFC 8089).

    Examples:
        >>> path_to_text("clips/größe 100%.wav"), path_to_text("/clips/a\x1b[31m.wav")
        ('clips/größe 100%.wav', 'file:///clips/a%1B%5B31m.wav')
    """
    fits = path.encode(encoding, "ignore").decode(encoding) == path
    if fits and make_printable(path) == path and not path.startswith("file:"):
        return path
    return Path(path).absolute().as_uri()


def _replace_surrogates(value: Any) -> Any:
    """Escape what is not text in all strings of a JSON value."""
    if isinstance(value, dict):
        return {_replace_surrogates(key): _replace_surrogates(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_surrogates(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value
