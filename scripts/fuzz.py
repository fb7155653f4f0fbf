"""Feed emovox damaged files: each must end in a prediction or in a typed error.

    python scripts/fuzz.py                          about two minutes on two cores
    python scripts/fuzz.py --count 9000             the long run: 9,000 recordings, 530 models, ...
    python scripts/fuzz.py --only recordings --seed 7
    python scripts/fuzz.py --only recordings --case 123      that case alone

A case is made from the seed, its kind and its number alone, so it can be repeated. Cases run in a
child process with limits of memory and time; after a crash or a hang, another child continues with
the next case. Whatever ends in anything but a result or an expected error is a finding: its input
and traceback are saved, and the exit status is 1.
"""

import faulthandler
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import traceback
import unicodedata
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Annotated, Protocol

import numpy as np
import typer

from emovox.errors import EmovoxError

KINDS = {
    "recordings": ("fuzz_files:Recordings", 9_000),
    "uploads": ("fuzz_service:Uploads", 2_000),
    "models": ("fuzz_files:Models", 530),
    "recipes": ("fuzz_files:Recipes", 1_500),
    "zips": ("fuzz_folders:Zips", 26),
    "downloads": ("fuzz_folders:Downloads", 200),
    "runs": ("fuzz_folders:Runs", 200),
    "kills": ("fuzz_folders:Kills", 31),
}
"""Where each kind of case is made and checked, and how many go with 9,000 recordings."""


LIMIT_S = float(os.environ.get("EMOVOX_FUZZ_LIMIT_S", "600"))
"""Longest time of a case, in seconds: far more than any takes, even on a busy machine."""


class Target(Protocol):
    """One kind of cases; made with an empty folder to work in."""

    allowed: type[EmovoxError]
    """The error that a damaged input may end in."""
    memory_mb: int
    """Address space that a case may take."""

    def make(self, generator: np.random.Generator) -> bytes:
        """Make the input of a case."""
        ...

    def check(self, content: bytes) -> str:
        """Process an input, and return the kind of result in a word or two."""
        ...


@dataclass(frozen=True)
class Finding:
    """A case that ended in something unexpected.

    Attributes:
        kind: Its kind.
        number: Its number; with the seed, enough to make it again.
        reason: What happened, in a line.
        details: The traceback, or the last lines that the process wrote.
        content: The input.
    """

    kind: str
    number: int
    reason: str
    details: str
    content: bytes


@dataclass
class Outcomes:
    """What the cases of one kind ended in."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


def main(
    seed: Annotated[int, typer.Option(help="Seed of all cases.")] = 0,
    count: Annotated[int, typer.Option(help="Recordings; other kinds in proportion.")] = 900,
    only: Annotated[
        list[str] | None, typer.Option(help="Kinds of cases: recordings, models, ...")
    ] = None,
    case: Annotated[int | None, typer.Option(help="Number of the only case to run.")] = None,
    jobs: Annotated[int, typer.Option(help="Processes at a time.")] = 2,
    out: Annotated[Path, typer.Option(help="Folder of findings.")] = Path("fuzz-findings"),
) -> None:
    """Run cases of each kind and list the findings."""
    kinds = only or list(KINDS)
    for kind in kinds:
        if kind not in KINDS:
            raise typer.BadParameter(f"{kind!r}, expected {', '.join(KINDS)}", param_hint="--only")
    findings: list[Finding] = []
    with ThreadPoolExecutor(jobs) as pool:
        # The slow kinds first, so that they do not run alone at the end.
        started = []
        for kind in sorted(kinds, key=list(KINDS).index, reverse=True):
            target, share = KINDS[kind]
            numbers = range(max(1, round(count * share / KINDS["recordings"][1])))
            numbers = numbers if case is None else range(case, case + 1)
            size = max(1, -(-len(numbers) // jobs))
            parts = [numbers[start : start + size] for start in range(0, len(numbers), size)]
            runs = [pool.submit(run_cases, kind, target, seed, part) for part in parts]
            started.append((kind, runs))
        for kind, runs in started:
            outcomes = [run.result() for run in runs]
            counts = sum((outcome.counts for outcome in outcomes), Counter())
            ended = ", ".join(f"{n:,} {what}" for what, n in counts.most_common())
            typer.echo(f"{kind}: {counts.total():,} cases: {ended}")
            findings += [finding for outcome in outcomes for finding in outcome.findings]
    for finding in findings:
        path = save_finding(finding, seed, out)
        typer.echo(f"FOUND {finding.kind} {finding.number}: {finding.reason} ({path})", err=True)
    if findings:
        raise typer.Exit(1)


def run_cases(kind: str, target: str, seed: int, numbers: range) -> Outcomes:
    """Run cases in child processes, a new one after each that dies."""
    outcomes, left = Outcomes(), list(numbers)
    while left:
        with tempfile.TemporaryDirectory(prefix="emovox-fuzz-") as made:
            folder = Path(made)
            given = [kind, target, str(seed), made, str(left[0]), str(left[-1] + 1)]
            with (folder / "stderr").open("wb") as errors:
                child = subprocess.run(  # noqa: S603
                    [sys.executable, __file__, "--child", *given],
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    check=False,
                )
            for line in child.stdout.decode().splitlines():
                ended = json.loads(line)
                number = left.pop(0)
                outcomes.counts[ended["outcome"]] += 1
                if ended["details"]:
                    content = (folder / f"input-{number}").read_bytes()
                    reason = ended["details"].strip().splitlines()[-1][:200]
                    outcomes.findings.append(
                        Finding(kind, number, reason, ended["details"], content)
                    )
            if left:
                # The child died in the first case that it did not report.
                number = left.pop(0)
                path = folder / f"input-{number}"
                stderr = (folder / "stderr").read_text(errors="replace")[-4_000:]
                reason = f"the process ended with status {child.returncode}"
                reason += " (too slow)" if "Timeout (" in stderr else ""
                outcomes.counts["dead process"] += 1
                content = path.read_bytes() if path.exists() else b""
                outcomes.findings.append(Finding(kind, number, reason, stderr, content))
                if not path.exists():
                    # It cannot start; the next would not either.
                    break
    return outcomes


def run_child(kind: str, name: str, seed: int, folder: Path, numbers: range) -> None:
    """Run cases in this process, and write a line of JSON about each."""
    faulthandler.enable()
    # Output of libraries must not get between the lines.
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    module, _, attribute = name.partition(":")
    work = folder / "work"
    work.mkdir()
    target: Target = getattr(import_module(module), attribute)(work)
    limit_memory(target.memory_mb)
    for number in numbers:
        generator = np.random.default_rng([seed, zlib.crc32(kind.encode()), number])
        content = target.make(generator)
        path = folder / f"input-{number}"
        path.write_bytes(content)
        faulthandler.dump_traceback_later(LIMIT_S, exit=True)
        outcome, details = run_case(target, content)
        faulthandler.cancel_dump_traceback_later()
        if not details:
            path.unlink()
        report.write(json.dumps({"outcome": outcome, "details": details}) + "\n")
        report.flush()
    shutil.rmtree(work)


def run_case(target: Target, content: bytes) -> tuple[str, str]:
    """Return what a case ended in, and a traceback if that is a finding."""
    try:
        return target.check(content), ""
    except target.allowed as error:
        # Control characters could rewrite the terminal that shows the message.
        odd = [x for x in str(error) if unicodedata.category(x) in ("Cc", "Cf") and x not in "\n\t"]
        return error.code, f"the message has control characters: {error!r}" if odd else ""
    except Exception as error:
        return type(error).__name__, traceback.format_exc()


def limit_memory(more_mb: int) -> None:
    """Limit this process to this many MB of address space beyond what it uses now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more_mb * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def save_finding(finding: Finding, seed: int, folder: Path) -> Path:
    """Save the input and the details of a finding."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{finding.kind}-{seed}-{finding.number}"
    path.write_bytes(finding.content)
    text = f"{finding.reason}\n\n{finding.details}\n"
    path.with_suffix(".txt").write_text(text, encoding="utf-8")
    return path


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        kind, name, seed, made, first, end = sys.argv[2:]
        run_child(kind, name, int(seed), Path(made), range(int(first), int(end)))
    else:
        typer.run(main)
