"""The reference experiment on lossless recordings and on the compressed copies, side by side.

    emovox reproduce --data PATH/TO/ravdess
    emovox reproduce --data reference_clips
    python benchmarks/sources.py [--lossless runs] [--opus runs]

Reads the finished runs of both and writes `benchmarks/sources.csv`, which is committed:
`scripts/write_readme.py` writes the table in docs/experiments.md from it.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import typer

from emovox.experiments.reproduce import N_SEEDS, RECIPES
from emovox.files import write_text
from emovox.runs.folder import open_finished_run, open_seeds

TABLE = Path(__file__).with_name("sources.csv")
COLUMNS = ("protocol", "model", "recordings", "seeds", "score", "value", "low", "high")
SCORES = {"WA": "accuracy", "UA": "uar", "F1": "macro_f1"}


def main(lossless: Path = Path("runs"), opus: Path = Path("runs")) -> None:
    """Write the table: a row for each model, kind of recordings and score."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for model in RECIPES:
        for recordings, folder, suffix in (("lossless", lossless, ""), ("opus", opus, "-opus")):
            single = [
                folder / f"{model}-reference{suffix}-seed{seed}"
                for seed in range(N_SEEDS["reference"])
            ]
            for row in list_seeds(single):
                writer.writerow(["reference", model, recordings, *row])
            for row in list_splits(folder / f"{model}-reference-repeated{suffix}"):
                writer.writerow(["reference-repeated", model, recordings, *row])
    write_text(TABLE, text.getvalue())


def list_seeds(folders: list[Path]) -> Iterator[list[object]]:
    """Yield each score's mean over seeds, with the lowest and highest seed's."""
    runs = open_seeds(folders)
    for name, key in SCORES.items():
        values = [getattr(run.scores.summary, key).mean for run in runs]
        yield [len(runs), name, sum(values) / len(values), min(values), max(values)]


def list_splits(folder: Path) -> Iterator[list[object]]:
    """Yield each score's mean over the splits, with its interval."""
    summary = open_finished_run(folder).scores.summary
    for name, key in SCORES.items():
        score = getattr(summary, key)
        yield [1, name, score.mean, score.low, score.high]


if __name__ == "__main__":
    typer.run(main)
