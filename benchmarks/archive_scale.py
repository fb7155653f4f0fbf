"""Plan, skip and close an archive of many recordings without audio, and print time and memory.

    python benchmarks/archive_scale.py --rows 1000000 100000000

Each size runs in a process of its own: it makes a manifest, plans it, writes made parts for all
units, finds what is done, and closes. What grows faster than the number of recordings shows in
"us each" (processor time), and what is kept in memory in "peak MB".
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emovox.archives.close import close_archive
from emovox.archives.folder import ArchiveFolder
from emovox.archives.plan import Plan, write_plan
from emovox.archives.rows import make_schema
from emovox.archives.settings import ArchiveSettings, make_spec
from emovox.archives.sources import list_recordings
from processes import measure

LABELS = ("neutral", "happy", "sad", "angry")
BATCH = 1_000_000


def write_manifest(path: Path, n: int) -> None:
    """Write a manifest of made addresses."""
    with pq.ParquetWriter(path, pa.schema([("file", pa.string()), ("bytes", pa.int64()),
                                           ("speaker", pa.string())])) as writer:  # fmt: skip
        for first in range(0, n, BATCH):
            numbers = np.arange(first, min(first + BATCH, n))
            names = pa.array(numbers).cast(pa.string())
            files = pa.compute.binary_join_element_wise("s3://calls/2026", names, "/")
            speakers = pa.array(numbers // 50).cast(pa.string())
            sizes = pa.array(np.full(len(numbers), 60_000))
            writer.write_table(
                pa.table([files, sizes, speakers], names=["file", "bytes", "speaker"])
            )


def make_part(first: int, n: int, schema: pa.Schema, rng: np.random.Generator) -> pa.Table:
    """Return made rows of a unit."""
    scores = rng.dirichlet(np.ones(len(LABELS)), n).astype(np.float32)  # (recordings, classes)
    columns: dict[str, Any] = {field.name: pa.nulls(n, field.type) for field in schema}
    numbers = pa.array(np.arange(first, first + n))
    columns |= {
        "recording": numbers,
        "source": pa.compute.binary_join_element_wise(
            "s3://calls/2026", numbers.cast(pa.string()), "/"
        ),
        "start_s": pa.array(np.zeros(n)),
        "end_s": pa.array(np.full(n, 3.5)),
        "emotion": pa.array(np.array(LABELS)[scores.argmax(1)]),
        "confidence": pa.array(scores.max(1)),
        "model_sha256": pa.array(["0" * 64] * n),
        "emovox_version": pa.array(["0.1.0"] * n),
        **{f"score_{label}": pa.array(scores[:, i]) for i, label in enumerate(LABELS)},
    }
    return pa.table([columns[name] for name in schema.names], schema=schema)


def simulate(n: int, folder: Path, *, only_plan: bool) -> dict[str, float]:
    """Plan, skip and close an archive of n recordings; return the seconds of each."""
    seconds: dict[str, float] = {}
    manifest = folder / "list.parquet"
    write_manifest(manifest, n)
    out = ArchiveFolder(folder / "out")
    began = time.process_time()
    plan = write_plan(out.plan, list_recordings(str(manifest)), str(manifest))
    seconds["plan"] = time.process_time() - began

    rng = np.random.default_rng(0)
    schema = make_schema(make_spec(ArchiveSettings(), plan.extra_columns), LABELS)
    out.parts.mkdir()
    for number in range(len(plan)):
        if only_plan:
            (out.parts / f"{number:08d}.parquet").touch()
            continue
        unit = plan.unit(number)
        table = make_part(unit.first, unit.n_recordings, schema, rng)
        pq.write_table(table, out.parts / f"{number:08d}.parquet", compression="zstd")

    began = time.process_time()
    done, _ = ArchiveFolder(out.path).find_done(len(Plan(out.plan)))
    seconds["skip"] = time.process_time() - began
    began = time.process_time()
    rows = n if only_plan else close_archive(out, out.list_parts(len(plan)), n)["rows"]
    seconds["close"] = time.process_time() - began
    if not done.all() or rows != n:
        raise SystemExit("recordings are missing")
    seconds["units"] = len(plan)
    seconds["plan_bytes"] = sum(path.stat().st_size for path in out.plan.iterdir())
    seconds["row_bytes"] = sum(path.stat().st_size for path in out.path.glob("rows-*"))
    return seconds


def print_rows(sizes: list[int], folder: Path | None, *, only_plan: bool) -> Iterator[str]:
    """Yield a line for each number of recordings."""
    yield (
        f"{'recordings':>12} {'units':>8} {'plan s':>8} {'skip s':>8} {'close s':>8} "
        f"{'us each':>8} {'peak MB':>8} {'plan B':>7} {'row B':>6}"
    )
    for n in sizes:
        work = Path(tempfile.mkdtemp(dir=folder))
        try:
            command = [sys.executable, __file__, "--one", str(n), "--folder", str(work)]
            command += ["--only-plan"] * only_plan
            found = measure(command)
        finally:
            shutil.rmtree(work)
        s = found.output
        each_us = 1e6 * (s["plan"] + s["skip"] + s["close"]) / n
        yield (
            f"{n:12,} {s['units']:8,.0f} {s['plan']:8.2f} {s['skip']:8.2f} {s['close']:8.2f} "
            f"{each_us:8.2f} {found.peak_mb:8.0f} {s['plan_bytes'] / n:7.1f} "
            f"{s['row_bytes'] / n:6.1f}"
        )


def main() -> None:
    """Print the table, or simulate one size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, help="Where to write: 7 GB for 100 million.")
    parser.add_argument(
        "--only-plan", action="store_true", help="Make empty parts, and do not close."
    )
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(simulate(arguments.one, arguments.folder, only_plan=arguments.only_plan)))
        return
    for line in print_rows(arguments.rows, arguments.folder, only_plan=arguments.only_plan):
        print(line, flush=True)


if __name__ == "__main__":
    main()
