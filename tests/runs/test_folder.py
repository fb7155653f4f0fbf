"""One training at a time in a run folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from emovox.errors import RunError
from emovox.runs.folder import lock_run

HOLD = """
import sys
from pathlib import Path
from emovox.runs.folder import lock_run

with lock_run(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_second_training_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "locked\n"
        with pytest.raises(RunError, match="another training is writing into .*run; wait until"):
            lock_run(tmp_path / "run").__enter__()
        with lock_run(tmp_path / "other"):
            pass
        first.kill()
    with lock_run(tmp_path / "run"):
        pass


def test_a_training_that_fails_frees_the_folder(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="loss"), lock_run(tmp_path):
            raise ValueError("loss")


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"run: cannot be written to \(Not a directory\)"):
        lock_run(tmp_path / "file" / "run").__enter__()
