from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from emovox.archives.close import write_files
from emovox.archives.folder import ArchiveFolder
from emovox.archives.queries import ArchiveQueries
from emovox.archives.report import write_archive_report
from emovox.archives.rows import make_schema
from emovox.archives.settings import ArchiveSettings, make_spec
from emovox.errors import ArchiveError
from emovox.recognition.model_file import open_model_bytes


def make_archive(path: Path, settings: ArchiveSettings) -> Path:
    """Write a finished archive: two sites, four speakers of ten recordings each, and failures."""
    spec = make_spec(settings, ("site", "day"))
    info = open_model_bytes(spec.model, Path(spec.model_name)).info
    folder = ArchiveFolder(path)
    with folder.lock():
        folder.check_settings({"source": "<calls>", **spec.describe(info)})
    rows = []
    for n in range(80):
        site, speaker = ("north", "south")[n // 40], f"speaker {n // 10}"
        # In the north, two speakers are loud and two are quiet; in the south, everybody half.
        is_loud = n // 10 % 2 == 0 if site == "north" else n % 2 == 0
        loud = 0.5 + (0.3 + 0.001 * n) * (1 if is_loud else -1)
        rows.append({
            "recording": n, "source": f"<{n}>.wav", "speaker": speaker, "start_s": 0.0,
            "end_s": 36.0, "emotion": "loud" if is_loud else "quiet",
            "confidence": max(loud, 1 - loud), "score_loud": loud, "score_quiet": 1 - loud,
            "meta_site": site, "meta_day": f"2026-11-{1 + n // 40:02d}T12:00",
        })  # fmt: skip
    for n, code in enumerate(("audio.empty", "audio.empty", "audio.damaged"), start=80):
        failed = {"error_code": code, "error": "=cmd|' /C calc'!A0"}
        rows.append({"recording": n, "source": f"<{n}>.wav", **failed})
    rows.append({"recording": 83, "source": "<83>.wav", "abstained": "no speech", "start_s": 0.0,
                 "end_s": 36.0})  # fmt: skip
    write_files(folder, [pa.Table.from_pylist(rows, make_schema(spec, info.labels))], 84)
    return path


def test_a_page_and_tables_describe_an_archive(tmp_path: Path, settings: ArchiveSettings) -> None:
    folder = make_archive(tmp_path / "out", settings)
    page = write_archive_report(
        folder, by=("site",), time_column="day", csv_folder=tmp_path / "csv"
    )
    text = page.read_text()
    assert "&lt;calls&gt;" in text and "<calls>" not in text
    assert "<script" not in text and "http" not in text.replace("http-equiv", "")
    tables = {path.stem: path.read_text().splitlines() for path in (tmp_path / "csv").iterdir()}
    assert tables["summary"][1].startswith("84,84,0.81")
    assert tables["by_site"][0] == (
        "value,rows,speakers,quiet,quiet_low,quiet_high,loud,loud_low,loud_high"
    )
    rows = [line.split(",") for line in tables["by_site"][1:]]
    assert [row[:4] for row in rows] == [["north", "40", "4", "0.5"], ["south", "40", "4", "0.5"]]
    # Speakers of 0, 10, 0 and 10 say nothing about a fifth; those of five each say much.
    assert [float(cell) for cell in rows[0][7:9]] == pytest.approx([0.0, 1.0])
    assert [float(cell) for cell in rows[1][7:9]] == pytest.approx([0.5, 0.5])
    assert [line.partition(",")[0] for line in tables["over_time"]] == [
        "value", "2026-11-01", "2026-11-02",
    ]  # fmt: skip
    assert tables["failures"][1:] == [
        "audio.empty,2,'=cmd|' /C calc'!A0,<80>.wav",
        "audio.damaged,1,'=cmd|' /C calc'!A0,<82>.wav",
    ]
    assert tables["most_certain"][1].startswith("<79>.wav,0.0,36.0,quiet,0.87")
    assert tables["least_certain"][1].startswith("<0>.wav,0.0,36.0,loud,0.8")


def test_the_interval_is_that_of_a_bootstrap_over_speakers() -> None:
    from emovox.archives.queries import estimate_share

    rng = np.random.default_rng(1)
    n = rng.integers(5, 50, 200).astype(float)
    x = rng.binomial(n.astype(int), rng.beta(2, 5, 200)).astype(float)
    share, low, high = estimate_share(
        x.sum(), (x * x).sum(), (x * n).sum(), n.sum(), (n * n).sum(), 200
    )
    picks = rng.integers(0, 200, (4_000, 200))
    drawn = x[picks].sum(1) / n[picks].sum(1)
    assert share == x.sum() / n.sum()
    assert [low, high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.006)


def test_what_cannot_be_reported(tmp_path: Path, settings: ArchiveSettings) -> None:
    folder = make_archive(tmp_path / "out", settings)
    with pytest.raises(ArchiveError, match="no column 'town'; expected speaker, site, day"):
        write_archive_report(folder, by=("town",))
    with pytest.raises(ArchiveError, match="'site' has no dates"):
        write_archive_report(folder, time_column="site")
    (folder / "_manifest.json").unlink()
    with pytest.raises(ArchiveError, match="no finished archive") as caught:
        ArchiveQueries(folder)
    assert caught.value.code == "archive.unfinished"
    embedded = make_archive(tmp_path / "embedded", replace(settings))
    text = (embedded / "settings.json").read_text()
    (embedded / "settings.json").write_text(text.replace('"predict"', '"embed"'))
    with pytest.raises(ArchiveError, match="holds embeddings"):
        ArchiveQueries(embedded)
