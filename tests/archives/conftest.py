"""Fixtures: recordings in every kind of source, and a model whose answer is known."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile as sf

from emovox.archives.run import archive
from emovox.archives.settings import ArchiveSettings

N_CLIPS = 40
Rows = list[dict[str, Any]]


def write_clips(folder: Path, n: int = N_CLIPS) -> None:
    """Write recordings of 0.7 s whose loudness is 0.01, 0.02, ..., and a file that is none."""
    rng = np.random.default_rng(5)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, n + 1):
        samples = 0.01 * number * rng.choice([-1.0, 1.0], 5_600)
        sf.write(folder / f"clip_{number}.wav", samples, 8_000, subtype="FLOAT")
    (folder / "damaged.wav").write_bytes(b"RIFF\x04\x00\x00\x00WAVE")


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ``N_CLIPS`` recordings and a damaged one."""
    folder = tmp_path_factory.mktemp("archive") / "clips"
    write_clips(folder)
    return folder


@pytest.fixture(scope="session")
def settings(loudness_model: Path) -> ArchiveSettings:
    """Return settings in which all of a recording is speech."""
    return ArchiveSettings(model=loudness_model, vad=False)


@pytest.fixture(scope="session")
def undisturbed(
    clips: Path, settings: ArchiveSettings, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the finished archive of ``clips``, made by one worker without interruption."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    archive(clips, out, settings, jobs=1)
    return out


@pytest.fixture(scope="session")
def read_rows() -> Callable[[Path], Rows]:
    """Return a function that reads the rows of a finished archive."""

    def read(folder: Path) -> Rows:
        files = sorted(folder.glob("rows-*.parquet"))
        return [row for file in files for row in pq.read_table(file).to_pylist()]

    return read


@pytest.fixture(scope="session")
def read_bytes() -> Callable[[Path], list[bytes]]:
    """Return a function that reads the bytes of a finished archive's rows."""

    def read(folder: Path) -> list[bytes]:
        assert not (folder / "parts").exists()
        return [file.read_bytes() for file in sorted(folder.glob("rows-*.parquet"))]

    return read
