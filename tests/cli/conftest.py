"""The command as a user runs it: a process with its exit status, stdout and stderr."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emovox.cli.main import main


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


Call = Callable[..., Answer]
Emovox = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def emovox(tmp_path: Path) -> Emovox:
    """Return a function that runs ``emovox ARGS`` in an empty folder, as a process of its own."""
    cwd = tmp_path / "cwd"
    cwd.mkdir()

    def run(*args: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "emovox", *args]
        inherited = {k: v for k, v in os.environ.items() if k != "EMOVOX_DATA"}
        environment = {**inherited, "COLUMNS": "80", **options.pop("env", {})}
        settings = {"capture_output": True, "text": True, "timeout": 60, "cwd": cwd, **options}
        return subprocess.run(command, env=environment, check=False, **settings)

    return run


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Call:
    """Return a function that runs ``emovox ARGS`` in this process, in an empty folder.

    It saves the seconds that a process takes to import torch, and so do its jobs: one by default.
    """
    cwd = tmp_path / "cwd"
    cwd.mkdir(exist_ok=True)
    monkeypatch.chdir(cwd)
    monkeypatch.delenv("EMOVOX_DATA", raising=False)
    monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    for name in ("reproduce", "stress", "sweep", "train", "tune"):
        monkeypatch.setattr(f"emovox.cli.{name}.count_cores", lambda: 1)

    def run(*args: str | Path) -> Answer:
        monkeypatch.setattr(sys, "argv", ["emovox", *map(str, args)])
        with pytest.raises(SystemExit) as ending:
            main()
        stdout, stderr = capsys.readouterr()
        return Answer(int(ending.value.code or 0), stdout, stderr)

    return run
