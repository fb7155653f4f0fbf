"""Fixtures: the packages that build the page, and sites for browsers to open."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "page"


def require(found: bool, reason: str) -> None:
    """Skip what cannot run here; where EMOVOX_REQUIRE_CORPUS is set, as in CI, fail."""
    if not found and os.environ.get("EMOVOX_REQUIRE_CORPUS"):
        pytest.fail(reason)
    if not found:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def page_source() -> Path:
    """Return the folder of the page's source, with the packages that it is built from."""
    require(shutil.which("npm") is not None, "npm is missing: apt install nodejs npm")
    if not (SOURCE / "node_modules" / ".package-lock.json").is_file():
        # Not "npm ci", which refuses a lock without a package for another system that the
        # registry in use does not have.
        command = ["npm", "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False)
        require(done.returncode == 0, f"npm cannot install the page's packages: {done.stderr}")
    return SOURCE


def run_node(source: Path, *command: str, **environment: str) -> None:
    """Run a program of the page's packages; its output is the message if it fails."""
    done = subprocess.run(
        ["npx", "--no-install", *command],
        cwd=source,
        env={**os.environ, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-4000:]}"
