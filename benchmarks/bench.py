"""Compare speed and memory with the reference's own stack and with bare loops: ``make bench``.

Every command runs in a fresh process, alternating between ours and theirs (A B A B), so other load
on the machine affects both. Prints medians and ratios, without asserting anything::

    python benchmarks/bench.py [--data DIR] [--json FILE] [--only NAME ...] [--quick]

A "first run" starts with a cold file cache and an empty numba cache, as on a fresh machine; a
"later run" has both. librosa compiles parts of itself in its first run.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path

import emovox  # noqa: F401  # its switches reach every process that is measured
from processes import Command, CommandError, Measurement, evict_from_memory, measure
from rows import Row, cost, format_header, format_row, speedup

HERE = Path(__file__).parent
ROOT = HERE.parent
PYTHON = Path(sys.executable)
EMOVOX = PYTHON.parent / "emovox"
PEER_ENV = ROOT / ".venv-peer"

# Commands to measure; extra arguments are appended.
OURS = (PYTHON, HERE / "ours.py")
OURS_PREDICT = (EMOVOX, "predict", "--format", "json")
OURS_BULK = (EMOVOX, "predict", "--format", "jsonl")
PEER = (PEER_ENV / "bin" / "python", HERE / "peer_reference.py")
TRAINING_JOBS = (PYTHON, HERE / "training_jobs.py")
BARE_LOOP = (PYTHON, HERE / "bare_loop.py")
BARE_HEAD = (PYTHON, HERE / "bare_head.py")
BARE_PREDICT = (PYTHON, HERE / "bare_predict.py")
BARE_BULK = (PYTHON, HERE / "bare_bulk.py")
MODEL = ROOT / "src" / "emovox" / "assets" / "default.onnx"
ONE_CLIP = "03-01-05-02-01-01-01"
# One file, its samples at the model's rate, and 3.7 s of them.
DECODE_CLIP = """
import sys, numpy, onnxruntime, soundfile, soxr
clip, model, wav, whole, typical = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
rate_hz = int(session.get_modelmeta().custom_metadata_map["emovox.sample_rate_hz"])
samples, clip_rate_hz = soundfile.read(clip, dtype="float32")
soundfile.write(wav, samples, clip_rate_hz, subtype="PCM_16")
resampled = soxr.resample(samples, clip_rate_hz, rate_hz)
numpy.save(whole, resampled)
numpy.save(typical, numpy.resize(resampled, round(3.7 * rate_hz)))
"""


@dataclass(frozen=True)
class Bench:
    """Paths and repeat counts shared by the benchmarks."""

    data: Path
    folder: Path
    model: Path
    quick: bool

    @property
    def repeats(self) -> int:
        """Number of runs of a short command."""
        return 1 if self.quick else 5

    @property
    def long_repeats(self) -> int:
        """Number of runs of a command that takes many seconds."""
        return 1 if self.quick else 3

    @property
    def epochs(self) -> tuple[str, str]:
        """The epochs argument for training."""
        return ("--epochs", "5" if self.quick else "50")


def main() -> None:
    """Run the chosen benchmarks and print each table row as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = os.environ.get("EMOVOX_DATA")
    parser.add_argument("--data", type=Path, default=data, help="folder that contains RAVDESS")
    parser.add_argument("--model", type=Path, default=MODEL, help="model file for the predictions")
    parser.add_argument("--json", type=Path, help="also write every value to this file")
    parser.add_argument(
        "--only", action="append", choices=BENCHMARKS, help="benchmark; may be repeated"
    )
    parser.add_argument("--quick", action="store_true", help="once each, less data: smoke test")
    args = parser.parse_args()
    if args.data is None:
        parser.error("no RAVDESS: give --data DIR or set EMOVOX_DATA")

    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(format_header())
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args.data.resolve(), Path(folder), args.model.resolve(), args.quick)
        for name in args.only or BENCHMARKS:
            try:
                for row in BENCHMARKS[name](bench):
                    rows.append(row)
                    print(format_row(row), flush=True)
            except CommandError as error:
                print(f"{name:50} not measured: {error}", flush=True)
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


def alternate(
    repeats: int, ours: Callable[[], Measurement], theirs: Callable[[], Measurement]
) -> tuple[list[Measurement], list[Measurement]]:
    """Run the two alternately and return the measurements of each."""
    pairs = [(ours(), theirs()) for _ in range(repeats)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def measure_first_run(bench: Bench, command: Command) -> Measurement:
    """Measure as on a fresh machine: cold file cache, nothing compiled."""
    evict_from_memory(Path(command[0]).parents[1])
    with tempfile.TemporaryDirectory(dir=bench.folder) as cache:
        return measure(command, environment={"NUMBA_CACHE_DIR": cache})


def values(measurements: list[Measurement], *keys: str) -> list[float]:
    """Return the sum of the named outputs of each run."""
    return [sum(float(m.output.get(key, 0)) for key in keys) for m in measurements]


def walls(measurements: list[Measurement]) -> list[float]:
    """Return the wall time of each run in seconds."""
    return [m.wall_s for m in measurements]


def bench_imports(bench: Bench) -> Iterator[Row]:
    """Measure the imports of training."""
    ours, peer = (*OURS, "imports"), (*PEER, "imports")
    keys = [f"import_{name}_s" for name in ("librosa", "skimage", "sklearn", "tensorflow")]
    a, b = alternate(
        bench.long_repeats,
        lambda: measure_first_run(bench, ours),
        lambda: measure_first_run(bench, peer),
    )
    yield speedup("imports, first run", values(a, "import_s"), values(b, *keys), ">= 4")
    a, b = alternate(bench.repeats, lambda: measure(ours), lambda: measure(peer))
    yield speedup("imports, later run", values(a, "import_s"), values(b, *keys), ">= 4")


def bench_features(bench: Bench) -> Iterator[Row]:
    """Compute the features of the 240 clips."""
    ours = (*OURS, "features", bench.data, "--out", bench.folder / "ours.npz")
    peer = (*PEER, "features", bench.data, "--out", bench.folder / "peer.npz")
    a, b = alternate(
        bench.long_repeats,
        lambda: measure_first_run(bench, ours),
        lambda: measure_first_run(bench, peer),
    )
    wanted = ">= 6, goal 10"
    key = "features_s"
    yield speedup("features of 240 clips, first run", values(a, key), values(b, key), wanted)
    a, b = alternate(bench.repeats, lambda: measure(ours), lambda: measure(peer))
    yield speedup("features of 240 clips, later run", values(a, key), values(b, key), wanted)


def bench_training(bench: Bench) -> Iterator[Row]:
    """Train both models on the same features, and compare the first with a bare loop."""
    saved = bench.folder / "train.npz"
    measure((*PEER, "features", bench.data, "--out", saved))
    loop = (*BARE_LOOP, saved, *bench.epochs)
    vanilla = (*OURS, "train", "vanilla", saved, *bench.epochs)
    runs = [
        (
            measure(vanilla),
            measure((*PEER, "train", "vanilla", saved, *bench.epochs)),
            measure(loop),
            measure((*loop, "--validate")),
        )
        for _ in range(bench.long_repeats)
    ]
    ours, peer, bare, validated = (values(list(m), "train_s") for m in zip(*runs, strict=True))
    yield speedup("training, vanilla", ours, peer, ">= 1.2")
    for name, loop_s in (("with validation", validated), ("without validation", bare)):
        yield cost(f"training, vanilla, to a bare loop {name}", ours, loop_s, "<= 1.10")
    a, b = alternate(
        bench.long_repeats,
        lambda: measure((*OURS, "train", "optimized", saved, *bench.epochs)),
        lambda: measure((*PEER, "train", "optimized", saved, *bench.epochs)),
    )
    # Early stopping ends the two at different epochs, so time per epoch is what compares.
    per_epoch = [[m.output["train_s"] / m.output["epochs"] for m in side] for side in (a, b)]
    yield speedup("training, optimized, per epoch", per_epoch[0], per_epoch[1], ">= 1.2")


def bench_all(bench: Bench) -> Iterator[Row]:
    """From a cold start to both trained models."""
    ours = (*OURS, "all", bench.data, *bench.epochs)
    peer = (*PEER, "all", bench.data, *bench.epochs, "--out", bench.folder / "peer")
    repeats = 1 if bench.quick else 2
    a, b = alternate(
        repeats, lambda: measure_first_run(bench, ours), lambda: measure_first_run(bench, peer)
    )
    wanted = ">= 1.6, goal 2"
    yield speedup("start to both trained models, first run", walls(a), walls(b), wanted)
    a, b = alternate(repeats, lambda: measure(ours), lambda: measure(peer))
    yield speedup("start to both trained models, later run", walls(a), walls(b), wanted)


def bench_head(bench: Bench) -> Iterator[Row]:
    """Train the encoder recipe's head on one core, and compare it with a bare loop."""
    ours = (*OURS, "head")
    runs = [
        [
            measure(command, one_core=True)
            for command in (ours, BARE_HEAD, (*BARE_HEAD, "--validate"))
        ]
        for _ in range(bench.repeats)
    ]
    epochs = [
        [m.output["train_s"] / m.output["epochs"] for m in side] for side in zip(*runs, strict=True)
    ]
    for kind, bare in (("with validation", epochs[2]), ("without validation", epochs[1])):
        yield cost(f"encoder: an epoch, to a bare loop {kind}", epochs[0], bare, "<= 1.18")


def bench_embed(bench: Bench) -> Iterator[Row]:
    """Embed clips and augmented copies on one core, which the encoder recipe does once each."""
    command = (*OURS, "embed", bench.data)
    runs = [measure(command, one_core=True) for _ in range(bench.long_repeats)]
    for name in ("decode", "disturb", "embed"):
        found = values(runs, f"{name}_ms")
        yield Row(f"encoder: {name} one clip, one core", found, [], "ms", None, "")


def decode_clip(bench: Bench) -> tuple[Path, Path, Path]:
    """Return a WAV file, its samples at the model's rate, and 3.7 s of them."""
    clip = next(bench.data.rglob(f"{ONE_CLIP}.*"), None)
    if clip is None:
        raise CommandError(f"{bench.data} has no {ONE_CLIP}")
    wav, whole, typical = (bench.folder / name for name in ("one.wav", "one.npy", "typical.npy"))
    measure((PYTHON, "-c", DECODE_CLIP, clip, bench.model, wav, whole, typical))
    return wav, whole, typical


def bench_predict(bench: Bench) -> Iterator[Row]:
    """Predict one file from a cold start, and a typical clip once it is decoded."""
    wav, whole, typical = decode_clip(bench)
    ours = (*OURS_PREDICT, "--model", bench.model, wav)
    bare = (*BARE_PREDICT, bench.model, whole)
    measure(ours), measure(bare)
    a, b = alternate(2 * bench.repeats, lambda: measure(ours), lambda: measure(bare))
    yield cost("predict one file, from a cold start", walls(a), walls(b), "<= 2.5")
    ours_mb, bare_mb = [m.peak_mb for m in a], [m.peak_mb for m in b]
    yield cost("predict one file, peak memory", ours_mb, bare_mb, "ours < 250 MB", "MB")
    clip, bare = (*OURS, "clip", bench.model, typical), (*BARE_PREDICT, bench.model, typical)
    for kind, options in (("without", ["--no-vad"]), ("with", [])):
        a, b = alternate(
            bench.repeats,
            partial(measure, (*clip, *options), one_core=True),
            partial(measure, (*bare, "--repeats", "50"), one_core=True),
        )
        name = f"one 3.7 s clip, one core, {kind} speech detector"
        yield cost(name, values(a, "clip_ms"), values(b, "clip_ms"), "<= 15 ms, goal 6", "ms")


def bench_bulk(bench: Bench) -> Iterator[Row]:
    """Predict a whole corpus on one core, then on two."""
    speech = bench.data / "ravdess" / "speech"
    folder = speech if speech.is_dir() else bench.data
    if bench.quick:
        folder = next(folder.rglob("Actor_01"), folder)
    ours = (*OURS_BULK, "--model", bench.model, folder)
    bare = (*BARE_BULK, bench.model, folder)
    measure(bare)
    runs = [
        (
            measure((*ours, "--no-vad"), one_core=True),
            measure(ours, one_core=True),
            measure(bare, one_core=True),
            measure((*ours, "--jobs", "2")),
        )
        for _ in range(1 if bench.quick else 2)
    ]
    plain, detecting, loop, two = (walls(list(side)) for side in zip(*runs, strict=True))
    clips = int(runs[0][2].output["clips"])
    yield speedup(f"predict {clips} clips, one core, no detector, speed", plain, loop, ">= 0.70")
    yield speedup(f"predict {clips} clips, one core, speed", detecting, loop, "")
    yield speedup(f"predict {clips} clips, --jobs 2, to --jobs 1", two, detecting, "")


def bench_jobs(bench: Bench) -> Iterator[Row]:
    """Repeat the reference experiment in two processes, and train many splits in one and in two."""
    n_run = count(1)

    def reproduce(*options: str | Path) -> Measurement:
        # A folder of its own each time, with a cold cache of embeddings.
        out = bench.folder / f"reproduce-{next(n_run)}"
        more = ("--quick",) if bench.quick else ()
        return measure((*TRAINING_JOBS, out, "--data", bench.data, *options, *more))

    def train(jobs: int) -> Measurement:
        options = ("--recipe", "vanilla", "--protocol", "reference-repeated", "--data", bench.data)
        out = ("--out", bench.folder / f"splits-{next(n_run)}", "--jobs", str(jobs))
        quick = ("--splits", "4", "--set", "training.epochs=20") if bench.quick else ()
        return measure((EMOVOX, "train", *options, *out, *quick))

    idle, threads = reproduce("--jobs", "2"), reproduce("--threads", "2")
    name = "reproduce, two processes, to one of two threads"
    yield cost(name, [idle.wall_s], [threads.wall_s], "<= 0.70")
    with keep_a_core_busy():
        busy = reproduce("--jobs", "2")
    yield cost("reproduce beside a busy core, to idle", [busy.wall_s], [idle.wall_s], "<= 2.2")
    n_splits = 4 if bench.quick else 20
    two, one = train(2), train(1)
    yield speedup(f"train {n_splits} splits, two jobs", [two.wall_s], [one.wall_s], ">= 1.7")


@contextmanager
def keep_a_core_busy() -> Iterator[None]:
    """Run a process that computes without end inside the block."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


BENCHMARKS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "imports": bench_imports,
    "features": bench_features,
    "training": bench_training,
    "all": bench_all,
    "head": bench_head,
    "embed": bench_embed,
    "predict": bench_predict,
    "bulk": bench_bulk,
    "jobs": bench_jobs,
}


if __name__ == "__main__":
    main()
