"""The fuzzer finds what it is made for, and a short run of it finds nothing new."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import fuzz  # noqa: E402

FAULTY = """
import os, time
from emovox.errors import AudioError

class Faulty:
    allowed = AudioError
    memory_mb = 200

    def __init__(self, folder):
        pass

    def make(self, generator):
        return generator.bytes(4)

    def check(self, content):
        {fault}
"""
FAULTS = {
    "raise AudioError('is empty', code='audio.empty')": "audio.empty",
    "return 'prediction'": "prediction",
}
FOUND = {
    "raise KeyError('size')": "KeyError: 'size'",
    "raise AudioError('holds \\x1b[2J')": "control characters",
    "bytearray(10**9)": "MemoryError",
    "os.abort()": "the process ended with status -6",
    "os._exit(7)": "the process ended with status 7",
    "while True: pass": "(too slow)",
}


def run_faulty(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> fuzz.Outcomes:
    """Run three cases of a target with a fault."""
    (tmp_path / "faulty.py").write_text(FAULTY.format(fault=fault))
    python_path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", python_path)
    return fuzz.run_cases("faulty", "faulty:Faulty", 5, range(2, 5))


@pytest.mark.parametrize(("fault", "outcome"), FAULTS.items(), ids=FAULTS.values())
def test_results_and_typed_errors_are_fine(
    fault: str, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = run_faulty(fault, tmp_path, monkeypatch)
    assert outcomes.counts == {outcome: 3}
    assert outcomes.findings == []


@pytest.mark.parametrize(("fault", "reason"), FOUND.items(), ids=FOUND.values())
def test_anything_else_is_found(
    fault: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOVOX_FUZZ_LIMIT_S", "2" if "while" in fault else "300")
    outcomes = run_faulty(fault, tmp_path, monkeypatch)
    assert [finding.number for finding in outcomes.findings] == [2, 3, 4]
    assert all(reason in finding.reason for finding in outcomes.findings)
    contents = {finding.content for finding in outcomes.findings}
    assert len(contents) == 3
    assert all(len(content) == 4 for content in contents)
    again = run_faulty(fault, tmp_path, monkeypatch)
    assert [f.content for f in again.findings] == [f.content for f in outcomes.findings]
    path = fuzz.save_finding(outcomes.findings[0], 5, tmp_path / "found")
    assert path.name == "faulty-5-2"
    assert path.read_bytes() == outcomes.findings[0].content
    assert reason in path.with_suffix(".txt").read_text()


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        ("recordings", range(60)),
        ("uploads", range(40)),
        ("recipes", range(20)),
        ("models", range(3)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_short_run_finds_nothing(kind: str, numbers: range) -> None:
    check_run(kind, numbers)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "numbers"),
    [("zips", range(2)), ("downloads", range(10)), ("runs", range(8)), ("kills", range(2))],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_short_run_in_folders_finds_nothing(kind: str, numbers: range) -> None:
    check_run(kind, numbers)


def check_run(kind: str, numbers: range) -> None:
    outcomes = fuzz.run_cases(kind, fuzz.KINDS[kind][0], 1, numbers)
    assert [f"{f.number}: {f.details}" for f in outcomes.findings] == []
    assert outcomes.counts.total() == len(numbers)


def test_the_command_lists_findings(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "fuzz.py"), "--only", "recipes", "--count", "12"]
    ran = subprocess.run(  # noqa: S603
        [*command, "--out", str(tmp_path / "found")], capture_output=True, text=True
    )
    assert ran.stdout.startswith("recipes: 2 cases: "), ran.stderr
    assert ran.returncode == (1 if "FOUND" in ran.stderr else 0)
    refused = subprocess.run([*command, "--only", "dogs"], capture_output=True, text=True)  # noqa: S603
    assert refused.returncode == 2
    assert "dogs" in refused.stderr
