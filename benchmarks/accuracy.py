"""Score the shipped recipe under every protocol, over three seeds, next to the field's results.

Protocols with unseen words and another corpus follow, without results to compare with.

    python benchmarks/accuracy.py [--recipe encoder] [--seeds 3] [--out runs/accuracy]

Finished trainings are skipped. The scores of each seed and their mean are written to
``benchmarks/accuracy.csv``, which is committed. A fold's temperature comes from its own validation
speakers. The recipe, however, was chosen by inner validation over all folds, which covers every
test speaker, and test folds were read on the way: the score on `emobox-6` is about a point
optimistic (`docs/experiments.md`; ``emovox tune --nested`` measures this).
"""

import csv
import io
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import onnx
import typer

from emovox import (
    FeatureCache,
    Recognizer,
    load_audio,
    load_protocol,
    load_recipe,
)
from emovox.cli.progress import ProgressBars
from emovox.cores import count_cores
from emovox.corpora.locate import find_ravdess
from emovox.evaluation.calibration import bootstrap_calibration_error
from emovox.evaluation.evaluate import BOOTSTRAP_SEED
from emovox.evaluation.group_calibration import measure_group_calibration
from emovox.evaluation.metrics import compute_metrics
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.repeated_takes import find_repeated_takes
from emovox.evaluation.summary import (
    ResampleBy,
    Summary,
    align_seeds,
    choose_resampling,
    describe_score,
    format_score,
    summarize_seeds,
)
from emovox.experiments.train_and_test import Experiment, run_experiments
from emovox.files import name_folder, write_text
from emovox.recognition.model_file import find_default_model

TABLE = Path(__file__).with_name("accuracy.csv")
COLUMNS = (
    "protocol", "version", "speaker_independent", "recipe", "seeds", "clips", "speakers", "score",
    "value", "low", "high",
)  # fmt: skip
N_TIMED = 50


@dataclass(frozen=True, slots=True)
class Bar:
    """The results that a protocol's score is compared with, in percent.

    Attributes:
        protocol: Its name.
        score: Name of the score, such as WA.
        floor: The minimum.
        goal: The goal.
        moonshot: The result of the best large model.
    """

    protocol: str
    score: str
    floor: float
    goal: float
    moonshot: float


BARS = (
    Bar("emobox-6", "WA", 66.2, 70.3, 75.9),
    Bar("luna-5", "UA", 65.2, 70.0, 76.6),
    Bar("reference-repeated", "WA", 80.0, 88.0, 93.0),
    Bar("random-10", "WA", 85.0, 90.1, 93.0),
)
WORDS = ("seen-words", "unseen-words")
"""The same models, tested on the sentence of their training and on the other one."""

CROSS = "cross:ravdess->nemo"
"""Another corpus: other language and microphones."""


def main(
    recipe: str = "encoder",
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    out: Path = Path("runs/accuracy"),
    data: Path | None = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: cores.")] = None,
) -> None:
    """Train, test and print every protocol and seed."""
    jobs = jobs or count_cores()
    features = FeatureCache(jobs)
    rows: list[list[str]] = []
    bars = {bar.protocol: bar for bar in BARS}
    with ProgressBars(recipe) as watcher:
        for protocol in (*bars, *WORDS, CROSS):
            experiments = [
                make_experiment(recipe, protocol, seed, out, data) for seed in range(seeds)
            ]
            runs = run_experiments(experiments, jobs=jobs, features=features, watcher=watcher)
            parts = [run.predictions for run in runs if run.predictions is not None]
            if not parts:
                raise typer.BadParameter(f"{protocol} tests nothing")
            rows += print_protocol(protocol, bars.get(protocol), recipe, parts, data)
    write_table(rows)
    print_speed(data)


def make_experiment(
    name: str, protocol: str, seed: int, out: Path, data: Path | None
) -> Experiment:
    """Return the training and test of one seed."""
    recipe = load_recipe(name, [f"data.protocol={protocol!r}", f"seed={seed}"])
    return Experiment(
        f"{protocol}, seed {seed}",
        recipe,
        load_protocol(recipe, data),
        out / name_folder(f"{name}-{protocol}-seed{seed}"),
        # Only the stress tests need model files, and only those of unseen speakers.
        keep_models=protocol == BARS[0].protocol,
    )


def print_protocol(
    name: str, bar: Bar | None, recipe: str, parts: list[Predictions], data: Path | None
) -> list[list[str]]:
    """Print a protocol's scores next to its bars, if any, and return the table's rows."""
    protocol = load_protocol(load_recipe(recipe, [f"data.protocol={name!r}"]), data)
    independent = protocol.speaker_independent
    resample_by = choose_resampling(parts[0], speaker_independent=independent)

    def summarize(chosen: list[Predictions]) -> Summary:
        return summarize_seeds(chosen, resample_by, np.random.default_rng(BOOTSTRAP_SEED))

    rows = []
    for label, chosen in (*((str(s), [p]) for s, p in enumerate(parts)), ("mean", parts)):
        summary = summarize(chosen)
        start = [
            name,
            str(protocol.version),
            str(independent).lower(),
            recipe,
            label,
            str(summary.n_clips),
            str(summary.n_speakers),
        ]
        for score in summary.scores:
            numbers = (score.value, score.interval.low, score.interval.high)
            rows.append([*start, score.name, *map(repr, numbers)])
        rows.append([*start, "ECE", *measure_calibration(chosen, resample_by)])
    error = [100 * float(number) for number in rows[-1][-3:]]
    typer.echo("")
    for score_name in ("WA", "UA", "F1"):
        line = describe_score(
            summary,
            score_name,
            protocol=protocol.name,
            version=protocol.version,
            speaker_independent=independent,
            n_seeds=len(parts),
        )
        typer.echo(line)
    if bar is not None:
        typer.echo(compare_to_bar(bar, summary))
    typer.echo(
        f"expected calibration error {error[0]:.2f} points ({error[1]:.2f} to {error[2]:.2f})"
    )
    for line in measure_group_calibration(parts, np.random.default_rng(BOOTSTRAP_SEED)).describe():
        typer.echo(line)
    aligned = align_seeds(parts)
    repeated = find_repeated_takes(protocol, aligned[0])
    takes = {"WA-repeated": repeated, "WA-unrepeated": ~repeated} if repeated.any() else {}
    for score_name, tests in takes.items():
        part = summarize([seed.select(tests) for seed in aligned])
        numbers = (part.wa.value, part.wa.interval.low, part.wa.interval.high)
        n_clips, n_speakers = str(part.n_clips), str(part.n_speakers)
        rows.append([*start[:-2], n_clips, n_speakers, score_name, *map(repr, numbers)])
        kind = "another take in training" if score_name == "WA-repeated" else "no other take there"
        shown = format_score(part.wa, part.interval_name)
        typer.echo(f"WA {shown} in {tests.sum():,} tests of clips with {kind}")
    return rows


def compare_to_bar(bar: Bar, summary: Summary) -> str:
    """Describe which of a protocol's bars its score reaches."""
    value = 100 * next(s.value for s in summary.scores if s.name == bar.score)
    reached = [
        f"{kind} {limit} {'reached' if value >= limit else 'NOT reached'}"
        for kind, limit in (("floor", bar.floor), ("goal", bar.goal), ("moonshot", bar.moonshot))
    ]
    return f"{bar.score} {value:.2f}: {', '.join(reached)}"


def measure_calibration(parts: list[Predictions], resample_by: ResampleBy) -> tuple[str, str, str]:
    """Return the mean calibration error over seeds, and its mean interval."""
    found = []
    for part in parts:
        error = compute_metrics(part.true, part.probabilities, part.labels)
        interval = bootstrap_calibration_error(
            part, resample_by, np.random.default_rng(BOOTSTRAP_SEED)
        )
        found.append((error.expected_calibration_error, interval.low, interval.high))
    value, low, high = np.mean(found, axis=0).tolist()
    return repr(value), repr(low), repr(high)


def write_table(rows: list[list[str]]) -> None:
    """Write the committed table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    write_text(TABLE, text.getvalue())


def print_speed(data: Path | None) -> None:
    """Print the shipped file's size, and the time of a typical clip on one core."""
    path = find_default_model()
    clip = find_ravdess(data) / "Actor_01" / "03-01-05-01-01-01-01.flac"
    size, n_weights = path.stat().st_size, count_weights(path)
    typer.echo(f"\nmodel file {size / 1e6:.2f} MB, {n_weights / 1e6:.1f} million weights")
    for vad in (False, True):
        recognizer = Recognizer.load(path, vad=vad)
        waveform = load_audio(clip, recognizer.info.sample_rate_hz)
        samples = np.resize(waveform.samples, round(3.7 * waveform.rate_hz))
        recognizer.predict(samples, rate_hz=waveform.rate_hz)
        times = []
        for _ in range(N_TIMED):
            start = time.perf_counter()
            recognizer.predict(samples, rate_hz=waveform.rate_hz)
            times.append(time.perf_counter() - start)
        kind = "with" if vad else "without"
        typer.echo(
            f"one 3.7 s clip, one core, after decoding, {kind} the speech detector: "
            f"{1e3 * float(np.median(times)):.1f} ms (median of {N_TIMED})"
        )


def count_weights(path: Path) -> int:
    """Return the number of weights in a model file's kernels, whatever their storage type."""
    total = 0
    for tensor in onnx.load(path).graph.initializer:
        # 4-bit weights are stored two per byte; scales do not count as weights.
        if len(tensor.dims) > 1 and not tensor.name.endswith("scales"):
            total += math.prod(tensor.dims) * (2 if tensor.name.endswith("_packed") else 1)
    return total


if __name__ == "__main__":
    typer.run(main)
