"""Requests made from the OpenAPI document: none is answered otherwise than it says."""

import subprocess
import sys
from pathlib import Path

from tests.service.conftest import RunningService


def test_schemathesis_finds_nothing(service: RunningService, tmp_path: Path) -> None:
    """Bytes that are not audio fit the document and are refused: only that check is left out."""
    command = [
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
        *("run", f"http://127.0.0.1:{service.port}/openapi.json", "--seed", "1"),
        *("--max-examples", "10", "--exclude-checks", "positive_data_acceptance"),
    ]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Selected: 7/7" in result.stdout
    assert service.ask("GET", "/healthz").status == 200
