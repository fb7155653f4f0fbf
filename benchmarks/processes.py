"""Run a command in a fresh process and measure it from outside: wall time, peak memory, output."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Command = Sequence[str | Path]


class CommandError(Exception):
    """A command that could not be measured because it failed."""


@dataclass(frozen=True)
class Measurement:
    """One run of one command.

    Attributes:
        wall_s: From start to exit, in seconds.
        peak_mb: Largest resident memory of the process or of a child it waited for, in 10^6 bytes.
        output: The JSON object on its last line of output, or empty if missing.
    """

    wall_s: float
    peak_mb: float
    output: dict[str, Any]


def measure(
    command: Command, *, one_core: bool = False, environment: Mapping[str, str] | None = None
) -> Measurement:
    """Run a command to its end and measure it.

    Args:
        command: Program and arguments.
        environment: Variables to set in addition to the present ones.
        one_core: Keep the process and its threads on a single core, where the system can.

    Raises:
        CommandError: It could not be started, or did not exit with 0.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, pin_to_core(one_core):
        began_s = time.perf_counter()
        try:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdout=out,
                stderr=err,
                env={**os.environ, **(environment or {})},
            )
        except OSError as error:
            raise CommandError(f"{command[0]} cannot be started: {error.strerror}") from error
        # wait4 gives this child's own peak; RUSAGE_CHILDREN would give the largest of all so far.
        # It is never below our own at the fork, so this program imports very little.
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began_s
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode != 0:
            lines = err.read().decode(errors="replace").strip().splitlines() or ["no message"]
            command_line = " ".join(str(part) for part in command)
            raise CommandError(f"exit {process.returncode}: {lines[-1]} ({command_line[:120]})")
        text = out.read().decode(errors="replace").strip()
    return Measurement(wall_s, usage.ru_maxrss * 1024 / 1e6, last_line_as_json(text))


def last_line_as_json(text: str) -> dict[str, Any]:
    """Return the JSON object on the last line, or an empty one."""
    try:
        value = json.loads(text.splitlines()[-1])
    except (IndexError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


@contextmanager
def pin_to_core(wanted: bool) -> Iterator[None]:
    """Pin processes started inside the block to one of the available cores."""
    if not wanted or not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def evict_from_memory(folder: Path) -> None:
    """Drop a folder's files from the system's file cache, as after a reboot."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)
