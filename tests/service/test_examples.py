"""The client examples run, and print what the service finds."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.service.conftest import Serve, make_wav

from emovox.service.keys import make_key

EXAMPLES = Path(__file__).parents[2] / "examples"
NODE = shutil.which("node")


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "client.py"],
        pytest.param(
            [NODE, "--experimental-websocket", "client.mjs"],
            marks=pytest.mark.skipif(NODE is None, reason="Node is missing: apt install nodejs"),
        ),
    ],
    ids=["Python", "JavaScript"],
)
@pytest.mark.parametrize("has_key", [False, True])
def test_a_client_predicts_and_streams(
    command: list[str], has_key: bool, serve: Serve, tmp_path: Path
) -> None:
    recording = tmp_path / "call.wav"
    recording.write_bytes(make_wav(0.75, duration_s=2))
    key, stored = make_key("ann")
    environment = os.environ | ({"EMOVOX_KEY": key} if has_key else {})
    with serve(keys=(stored,) if has_key else ()) as service:
        result = subprocess.run(
            [*command, f"http://127.0.0.1:{service.port}", recording],
            cwd=EXAMPLES,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        refused = subprocess.run(
            [*command, f"http://127.0.0.1:{service.port}", recording],
            cwd=EXAMPLES,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert result.returncode == 0, result.stderr
    predicted, segment, summary = result.stdout.splitlines()
    assert predicted.startswith("predict: loud 0.7")
    assert segment == "segment: 0.00 to 2.00 s: loud"
    assert summary.startswith("summary: 2")
    assert refused.returncode == (1 if has_key else 0)
    assert refused.stderr.startswith("service.unauthorized: " if has_key else "")
