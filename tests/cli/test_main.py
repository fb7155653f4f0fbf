"""What every command has in common: help, exit status, one line for a failure."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emovox.cli.main import explain_missing

COMMANDS = (
    "predict timeline listen archive page demo enroll embed explain train evaluate adapt compare "
    "stress tune sweep reproduce report info serve export data data-list data-fetch data-verify"
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


@pytest.mark.parametrize("flag", ["--verbose", "-v"])
def test_verbose_says_what_goes_on_and_only_then(
    call: Callable[..., Any], loudness_model: Path, tone: Path, flag: str
) -> None:
    arguments = ("predict", "--no-vad", "--model", loudness_model, tone)
    spoken = call(flag, *arguments)
    opened, heard = spoken.stderr.splitlines()
    assert opened == f"emovox: {loudness_model}: model 'loudness' opened, 2 emotions"
    assert heard == f"emovox: {tone}: 1.00 s, quiet"
    silent = call(*arguments)
    assert (silent.stdout, silent.stderr) == (spoken.stdout, "")


@pytest.mark.parametrize("verbose", [False, True])
def test_a_mistake_of_ours_is_one_line(
    call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tone: Path, verbose: bool
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("two\nlines")

    monkeypatch.setattr("emovox.recognition.recognizer.open_model", fail)
    answer = call(*["-v"] * verbose, "predict", tone)
    assert (answer.status, answer.stdout) == (1, "")
    *log, line = answer.stderr.splitlines()
    assert line.startswith("emovox: unexpected KeyError: 'two\\nlines'; run 'emovox --verbose")
    assert ("Traceback (most recent call last):" in log) == verbose


@pytest.mark.parametrize(
    ("module", "hint"),
    [
        ("markupsafe", "pip install 'emovox[evaluate]'"),
        ("sklearn.metrics", "pip install 'emovox[evaluate]'"),
        ("torch", "pip install 'emovox[train]'"),
        ("sqlalchemy.orm", "pip install 'emovox[tune]'"),
        ("h5py", "pip install 'emovox[keras]'"),
        ("pandas", "pip install 'emovox[frame]'"),
        ("strange.part", "pip install strange"),
    ],
)
def test_a_missing_module_is_reported_with_its_extra(module: str, hint: str) -> None:
    assert explain_missing(module).endswith(f"which is not installed; {hint}")
