"""``emovox serve``: its processes, and what it says before it starts."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import make_wav

from emovox.service.keys import KEYS_VARIABLE, make_key

LIMIT_S = 120
"""Far more than anything here takes."""


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command that does not start to serve."""
    return subprocess.run(
        [sys.executable, "-m", "emovox", "serve", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env=os.environ | environment,
        check=False,
    )


@contextmanager
def start(*arguments: str | Path, **environment: str) -> Iterator[tuple[Any, int]]:
    """Start a service on a free port; yield its process and port once it serves."""
    process = subprocess.Popen(
        [sys.executable, "-m", "emovox", "serve", "--port", "0", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        match = re.match(r"emovox: serving on http://127\.0\.0\.1:(\d+), (\d) process", line)
        assert match is not None, line + process.stderr.read()
        yield process, int(match[1])
    finally:
        process.kill()
        process.communicate()


def ask(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def ask_again(port: int, path: str, body: bytes) -> tuple[int, bytes]:
    """Send a request, and once more if a process was killed meanwhile."""
    try:
        return ask(port, "POST", path, body)
    except (OSError, http.client.HTTPException):
        return ask(port, "POST", path, body)


def list_children(pid: int) -> list[int]:
    """Return the processes that serve: those of multiprocessing, but for its resource tracker."""
    pids = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return [p for p in pids if b"spawn_main" in Path(f"/proc/{p}/cmdline").read_bytes()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < ends_s
        time.sleep(0.05)


def count_starts(port: int) -> int:
    _, text = ask(port, "GET", "/metrics")
    match = re.search(rb"^emovox_worker_starts_total (\d+)$", text, re.MULTILINE)
    assert match is not None
    return int(match[1])


@pytest.mark.slow
def test_a_killed_process_is_replaced_and_all_end_in_order(loudness_model: Path) -> None:
    with start("--workers", "2", "--model", loudness_model) as (process, port):
        status, body = ask(port, "POST", "/v1/predict", make_wav())
        assert (status, json.loads(body)["abstained"]) == (200, "no speech")
        first, second = list_children(process.pid)
        os.kill(first, signal.SIGKILL)
        for _ in range(10):
            status, _ = ask_again(port, "/v1/predict?vad=false", make_wav())
            assert status == 200
        wait_until(lambda: count_starts(port) == 3)
        wait_until(lambda: len(list_children(process.pid)) == 2)
        assert second in list_children(process.pid)
        children = list_children(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0
        assert not any(map(is_running, children))
        errors = process.stderr.read()
        assert re.fullmatch(r"emovox: worker \d ended with status -9; starting another\n", errors)


@pytest.mark.slow
def test_processes_do_not_outlive_their_parent(loudness_model: Path) -> None:
    with start("--workers", "1", "--model", loudness_model) as (process, _):
        (child,) = list_children(process.pid)
        process.kill()
        wait_until(lambda: not is_running(child))


@pytest.mark.slow
def test_keys_of_the_environment_are_used_and_nothing_is_logged(loudness_model: Path) -> None:
    key, stored = make_key("ann")
    environment = {KEYS_VARIABLE: str(stored)}
    options = ("--workers", "1", "--model", loudness_model, "--limit", "body_mb=0.01")
    with start(*options, **environment) as (process, port):
        assert ask(port, "GET", "/v1/models")[0] == 401
        authorization = {"Authorization": f"Bearer {key}"}
        assert ask(port, "POST", "/v1/predict", make_wav(), **authorization)[0] == 413
        assert ask(port, "POST", "/v1/predict", b"no audio", **authorization)[0] == 415
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT_S) == 0
        assert process.stderr.read() == ""


def test_what_cannot_start_says_why_in_one_line(tmp_path: Path, loudness_model: Path) -> None:
    damaged = tmp_path / "model.onnx"
    damaged.write_bytes(loudness_model.read_bytes()[:-100])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, reason in [
            (("--model", damaged, "--port", "0"), "model.onnx: not a usable ONNX model"),
            (("--port", port), f"cannot listen on 127.0.0.1, port {port} "),
            (("--host", "0.0.0.0"), "can be reached from other machines, expected API keys"),  # noqa: S104
            (("--keys", tmp_path / "none"), "none: cannot be read"),
        ]:
            result = run("--workers", "1", *arguments)
            assert (result.returncode, result.stdout) == (1, "")
            (line,) = result.stderr.splitlines()
            assert reason in line


@pytest.mark.parametrize("limit", ["bodies=1", "body_mb=much", "body_mb"])
def test_a_limit_that_does_not_exist_is_refused(limit: str) -> None:
    result = run("--limit", limit)
    assert result.returncode == 2
    assert f"--limit {limit}: expected" in " ".join(result.stderr.split())


def test_a_new_key_is_printed_once_with_the_line_to_store() -> None:
    result = run("--new-key", "ann")
    assert result.returncode == 0
    assert re.search(r"^key, .*: emovox_[\w-]{43}$", result.stdout, re.MULTILINE)
    assert re.search(r"^line, .*: ann:sha256:[0-9a-f]{64}$", result.stdout, re.MULTILINE)
