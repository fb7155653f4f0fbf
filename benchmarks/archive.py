"""Compare the engines of ``emovox archive`` with one process and with a bare onnxruntime loop.

    python benchmarks/archive.py FOLDER --clips 3000 --memory-rows 100000

Prints clips per second of each, shares of twice one process, the driver's peak memory for many rows
against few, and whether the files of all engines are the same byte for byte. Starting processes,
and Ray, is not counted: the clock runs from the first unit that ends to the last. FOLDER holds WAV
or FLAC files, such as CREMA-D; without it, recordings are made.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from emovox.archives.progress import ArchiveWatcher
from emovox.archives.run import archive
from emovox.archives.settings import ArchiveSettings
from emovox.recognition.model_file import find_default_model
from emovox.recognition.recognizer import Recognizer
from processes import Measurement, measure

BARS = {"local, 2 workers": (0.90, 0.97), "ray, 2 workers": (0.85, 0.95)}
"""Floor and goal of the rate, as a share of twice one process."""

MEMORY_BARS_MB = (150, 50)


class Clock(ArchiveWatcher):
    """Measures the rate from the first unit that ends to the last."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, int]] = []

    def end_unit(self, n_recordings: int, audio_s: float, errors: Counter[str]) -> None:  # noqa: ARG002
        """Note the time."""
        self.ends.append((time.perf_counter(), n_recordings))

    def find_rate(self, workers: int) -> float:
        """Return recordings per second, without the first unit of each worker."""
        counted = self.ends[workers - 1 :]
        n = sum(n for _, n in counted[1:])
        return n / (counted[-1][0] - counted[0][0])


def run_one(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one engine in this process, and return rate, peak memory and the hashes of its files."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        settings = ArchiveSettings(vad=not arguments.quick)
        archive(
            arguments.source,
            out,
            settings,
            engine=arguments.engine,
            jobs=arguments.jobs,
            watcher=clock,
        )
        files = json.loads((out / "_manifest.json").read_text())["files"]
    # Of this process alone, not of its workers. Kilobytes on Linux.
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000
    hashes = [file["sha256"] for file in files]
    return {"rate": clock.find_rate(arguments.jobs), "peak_mb": peak_mb, "hashes": hashes}


def run_plain(manifest: Path) -> dict[str, Any]:
    """Predict the recordings of a manifest in one process, without an archive."""
    recognizer = Recognizer.load()
    paths = manifest.read_text().splitlines()[1:]
    recognizer.predict(paths[0])
    began = time.perf_counter()
    n = sum(1 for _ in recognizer.predict_files(paths))
    return {"rate": n / (time.perf_counter() - began)}


def run_bare(folder: Path) -> float:
    """Return the rate of the bare loop over the folder's recordings."""
    loop = Path(__file__).with_name("bare_bulk.py")
    found = measure([sys.executable, loop, find_default_model(), folder]).output
    return float(found["clips"]) / float(found["loop_s"])


def make_clips(folder: Path, n: int) -> None:
    """Write made recordings of 2 to 4 s."""
    rng = np.random.default_rng(0)
    for number in range(n):
        time_s = np.arange(rng.integers(32_000, 64_000)) / 16_000
        hum = np.sin(2 * np.pi * 150 * time_s) * (1 + np.sin(2 * np.pi * 4 * time_s)) / 4
        sf.write(folder / f"{number}.wav", hum + rng.normal(0, 0.01, len(time_s)), 16_000)


def write_manifest(path: Path, recordings: list[Path], n: int) -> Path:
    """Write a manifest of n rows, in which recordings repeat."""
    rows = [str(recordings[i % len(recordings)].absolute()) for i in range(n)]
    path.write_text("\n".join(["file", *rows]) + "\n")
    return path


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--clips", type=int, default=3_000)
    parser.add_argument("--memory-rows", type=int, default=100_000)
    parser.add_argument("--no-ray", action="store_true")
    for name in ("--engine", "--source", "--plain"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--jobs", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.engine:
        print(json.dumps(run_one(arguments)))
        return
    if arguments.plain:
        print(json.dumps(run_plain(Path(arguments.plain))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        compare(arguments, Path(temporary))


def compare(arguments: argparse.Namespace, work: Path) -> None:
    """Run every engine, and print what it comes to."""
    folder = arguments.folder
    if folder is None:
        folder = work / "clips"
        folder.mkdir()
        make_clips(folder, min(arguments.clips, 500))
    found = [path for path in folder.rglob("*") if path.suffix.lower() in (".wav", ".flac")]
    clips = write_manifest(work / "clips.csv", sorted(found), arguments.clips)

    def run(engine: str, jobs: int, source: Path, *more: str) -> Measurement:
        command = [sys.executable, __file__, "--engine", engine, "--jobs", str(jobs)]
        return measure([*command, "--source", source, *more])

    print(f"{arguments.clips:,} recordings; starts not counted\n")
    print(f"{'bare onnxruntime loop':<28}{run_bare(folder):8.1f} /s")
    plain = float(measure([sys.executable, __file__, "--plain", clips]).output["rate"])
    print(f"{'one process':<28}{plain:8.1f} /s")
    runs = [("local", jobs) for jobs in (1, 2, 4)]
    runs += [] if arguments.no_ray else [("ray", 1), ("ray", 2)]
    hashes = set()
    for engine, jobs in runs:
        output = run(engine, jobs, clips).output
        name = f"{engine}, {jobs} worker{'s' if jobs > 1 else ''}"
        share = output["rate"] / (2 * plain)
        floor, goal = BARS.get(name, (None, None))
        bar = (
            "" if floor is None else f"  {share:.0%} of twice (floor {floor:.0%}, goal {goal:.0%})"
        )
        print(f"{name:<28}{output['rate']:8.1f} /s{bar}", flush=True)
        hashes.add(tuple(output["hashes"]))
    print(f"\nrows of all engines: {'equal' if len(hashes) == 1 else 'DIFFERENT'}")
    peaks = []
    # Short recordings and no speech detection: the driver only sees their rows.
    short = work / "short"
    short.mkdir()
    for number in range(20):
        sf.write(
            short / f"{number}.wav", np.random.default_rng(number).normal(0, 0.1, 4_800), 16_000
        )
    for n in (1_000, arguments.memory_rows):
        source = write_manifest(work / f"{n}.csv", sorted(short.iterdir()), n)
        peaks.append(float(run("local", 2, source, "--quick").output["peak_mb"]))
    print(
        f"peak memory of the driver: {peaks[0]:.0f} MB for 1,000 rows, "
        f"{peaks[1] - peaks[0]:+.0f} MB for {arguments.memory_rows:,} "
        f"(floor +{MEMORY_BARS_MB[0]}, goal +{MEMORY_BARS_MB[1]})"
    )


if __name__ == "__main__":
    main()
