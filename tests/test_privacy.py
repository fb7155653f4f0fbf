"""Nothing leaves the machine, and no file is left outside emovox's folder: seen from outside."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from threading import Timer

import pytest
from tests.training.tiny_encoders import save_encoder

EVERY_COMMAND = Path(__file__).with_name("every_command.py")
LONGEST_S = 600
"""Far more than any of this takes; it ends what would otherwise never end."""

HOST = "import sys, onnxruntime; sys.stdin.read()"
"""A program that never heard of emovox."""

OPENED = re.compile(r"(\d+) +socket\(AF_INET6?, .*\) = (\d+)$")
USED = re.compile(
    r"(\d+) +\w+\((\d+), .*sa_family=AF_INET6?,.*"
    r"(?:inet_addr\(|inet_pton\(AF_INET6, )\"([^\"]+)\""
)
"""Process, socket and address of a call in strace's output."""


def trace(*arguments: str) -> list[str]:
    """Return a strace command for the network calls of a process and all that it starts."""
    return ["strace", "-f", "--seccomp-bpf", "-qq", *arguments]


@pytest.fixture
def strace() -> None:
    """Skip where processes cannot be traced; in CI that is a failure."""
    found = shutil.which("strace")
    if found and subprocess.run(trace("true"), capture_output=True, check=False).returncode == 0:
        return
    if os.environ.get("EMOVOX_REQUIRE_CORPUS"):
        pytest.fail("strace is missing or may not trace; apt install strace")
    pytest.skip("strace is missing or may not trace; apt install strace")


@pytest.fixture
def empty_home(tmp_path: Path) -> dict[str, str]:
    """Return an environment with nothing of the user's, whose folders are empty.

    CI's variables are missing too: with them, onnxruntime sends nothing anyway.
    """
    kept = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "OMP_NUM_THREADS")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    home = tmp_path / "home"
    folders = {
        "HOME": home,
        "TMPDIR": tmp_path / "temporary",
        "XDG_CACHE_HOME": home / "cache",
        "XDG_CONFIG_HOME": home / "config",
        "XDG_DATA_HOME": home / "data",
        "XDG_STATE_HOME": home / "state",
    }
    for name, folder in folders.items():
        folder.mkdir()
        environment[name] = str(folder)
    return environment


def read_calls(prefix: Path) -> list[str]:
    """Return the calls of all processes.

    Each has a file of its own: in one file, they cut each other's lines in two.
    """
    files = sorted(prefix.parent.glob(f"{prefix.name}.*"))
    assert files
    return [
        f"{path.suffix[1:]}  {line}" for path in files for line in path.read_text().splitlines()
    ]


def find_outside_calls(calls: list[str]) -> list[str]:
    """Return the calls that name an address, or open an internet socket, other than loopback's.

    A socket is loopback's if the first address that its process uses it with is.
    """
    outside = []
    for number, call in enumerate(calls):
        opened, used = OPENED.match(call), USED.match(call)
        if opened:
            later = filter(None, map(USED.match, calls[number + 1 :]))
            used = next((use for use in later if use.groups()[:2] == opened.groups()), None)
        if "AF_INET" in call and not (used and ip_address(used[3]).is_loopback):
            outside.append(call)
    return outside


def test_a_socket_is_outside_unless_it_is_used_with_loopback() -> None:
    loopback = [
        "7  socket(AF_INET6, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 5",
        '7  bind(5, {sa_family=AF_INET6, sin6_port=htons(0), inet_pton(AF_INET6, "::1", '
        "&sin6_addr), sin6_scope_id=0}, 28) = 0",
        '8  connect(3, {sa_family=AF_INET, sin_addr=inet_addr("127.0.0.53")}, 16) = 0',
        '7  connect(5, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT',
    ]
    outside = [
        "7  socket(AF_INET, SOCK_DGRAM|SOCK_CLOEXEC, IPPROTO_IP) = 6",
        '7  connect(6, {sa_family=AF_INET, sin_addr=inet_addr("192.0.2.1")}, 16) = 0',
        "9  socket(AF_INET6, SOCK_DGRAM, IPPROTO_IP) = 5",
        "9  socket(AF_INET, SOCK_DGRAM, IPPROTO_IP <unfinished ...>",
    ]
    assert find_outside_calls(loopback + outside) == outside


@contextmanager
def end_in_time(process: subprocess.Popen[str]) -> Iterator[None]:
    """End a process that leads a session, and all that it started, if it takes far too long."""
    limit = Timer(LONGEST_S, os.killpg, (process.pid, signal.SIGKILL))
    limit.start()
    try:
        yield
    finally:
        limit.cancel()


def wait_for_usage_events(environment: dict[str, str], home: Path) -> None:
    """Wait until an onnxruntime whose events are on opens a socket, from which nothing leaves."""
    home.mkdir()
    nothing_leaves = [
        "-e", "trace=socket,connect,sendto,sendmsg,sendmmsg",
        "-e", "inject=connect,sendto,sendmsg,sendmmsg:error=ENETUNREACH",
    ]  # fmt: skip
    host = subprocess.Popen(
        trace(*nothing_leaves, sys.executable, "-c", HOST),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment | dict.fromkeys(("HOME", "XDG_CACHE_HOME", "TMPDIR"), str(home)),
        start_new_session=True,
    )
    with end_in_time(host), host:
        assert host.stdin is not None and host.stderr is not None
        found = next((line for line in host.stderr if "AF_INET" in line), "")
        host.stdin.close()
        # It reads to the end, so that the host can end: what it still writes goes nowhere.
        host.stderr.read()
    # The files of events that the test looks for appear as well.
    assert list(home.rglob("deviceid"))
    assert found, "onnxruntime opens no socket any more with its events on: nothing is shown here"


@pytest.mark.slow
@pytest.mark.usefixtures("strace")
def test_no_command_contacts_anything_or_leaves_files_elsewhere(
    empty_home: dict[str, str],
    tiny_corpus: Path,
    tiny_split: Path,  # noqa: ARG001  # lies in the corpus' folder
    tiny_recipe_file: Path,
    tiny_runs: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    run, other = tiny_runs
    copy, encoder, cwd = tmp_path / "run", tmp_path / "encoder", tmp_path / "cwd"
    shutil.copytree(run, copy)
    cwd.mkdir()
    save_encoder(encoder, "wavlm")
    calls = tmp_path / "calls"
    arguments = (tiny_corpus, tiny_recipe_file, copy, other, encoder)
    command = [sys.executable, EVERY_COMMAND, *arguments]
    with (tmp_path / "stderr").open("w+") as stderr:
        process = subprocess.Popen(
            [*trace("-e", "trace=network", "-ff", "-o", str(calls)), *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=empty_home,
            cwd=cwd,
            start_new_session=True,
        )
        with end_in_time(process), process:
            assert process.stdin is not None and process.stdout is not None
            if any(line == "loaded\n" for line in process.stdout):
                # From here on it is held for at least as long as events take to be sent.
                wait_for_usage_events(empty_home, tmp_path / "host")
            done = any(line == "done\n" for line in process.stdout)
            process.stdin.close()
        stderr.seek(0)
        assert process.returncode == 0, stderr.read()
    assert done
    assert find_outside_calls(read_calls(calls)) == []
    home, own = Path(empty_home["HOME"]), Path(empty_home["XDG_CACHE_HOME"], "emovox")
    folders = (home, Path(empty_home["TMPDIR"]))
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert [path for path in files if own not in path.parents] == []
    assert {path.relative_to(own).parts[0] for path in files} == {
        "clips",
        "embeddings",
        "keras",
        "matplotlib",
    }
