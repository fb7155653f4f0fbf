"""Print what the check of a corpus found before a training."""

from typing import TYPE_CHECKING

from emovox.cli.terminal import echo

if TYPE_CHECKING:
    from emovox.corpora.folds import Protocol


def echo_check(protocol: "Protocol") -> None:
    """Print the check of a protocol's clips as a table, then the notes on its folds, on stderr."""
    lines = protocol.check.describe() if protocol.check else []
    for line in (*lines, *(f"emovox: {note}" for note in protocol.notes)):
        echo(line, err=True)
