"""What every command has in common: help, exit status, one line for a failure."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMMANDS = (
    "predict demo explain train evaluate compare stress tune sweep reproduce report export "
    "data data-list data-fetch data-verify"
).split()


def test_without_arguments_the_commands_are_listed(call: Callable[..., Any]) -> None:
    answer = call()
    listed = re.findall(r"^  ([a-z]+)  ", answer.stdout + answer.stderr, re.MULTILINE)
    assert listed == [c for c in COMMANDS if "-" not in c]
    assert answer.status in (0, 2)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_80_columns(call: Callable[..., Any], command: str) -> None:
    for flag in ("--help", "-h"):
        answer = call(*command.split("-"), flag)
        assert (answer.status, answer.stderr) == (0, "")
        usage, _, text, *rest = answer.stdout.splitlines()
        assert usage.startswith(f"Usage: emovox {command.replace('-', ' ')}")
        assert text.strip()
        assert max(map(len, rest)) <= 80
        # Where an option or a command is cut short, its line ends in dots.
        assert not [line for line in rest if line.endswith("...")]


def test_the_version_is_the_package_s(call: Callable[..., Any]) -> None:
    from emovox import __version__

    assert call("--version").stdout == f"emovox {__version__}\n"


def test_a_mistyped_command_names_the_nearest(call: Callable[..., Any]) -> None:
    answer = call("predct")
    assert (answer.status, answer.stdout) == (2, "")
    assert "Did you mean 'predict'?" in answer.stderr


def test_python_dash_m_does_the_same(emovox: Callable[..., Any]) -> None:
    result = emovox("--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("emovox ")


def test_a_full_disk_is_said_in_one_line(
    emovox: Callable[..., Any], loudness_model: Path, tone: Path
) -> None:
    with open("/dev/full", "w") as full:
        arguments = ("predict", "--no-vad", "--model", loudness_model, "--format", "json", tone)
        result = emovox(*arguments, stdout=full, capture_output=False, stderr=-1)
    assert result.returncode == 1
    assert result.stderr.splitlines() == ["emovox: [Errno 28] No space left on device"]
