"""The reference experiment's figures as a table.

    make reproduce-all
    python benchmarks/reference.py [--out runs] [--jobs N]

Reads what `make reproduce-all` left, trains what is missing, and writes `benchmarks/reference.csv`,
which is committed: the README's tables are made of it by `scripts/write_readme.py`. With `--data
reference_clips` it does the same for the compressed copies, which allow two of the three protocols,
and writes `benchmarks/reference_opus.csv`, for docs/experiments.md.
"""

import csv
import io
from pathlib import Path
from typing import Annotated

import typer

from emovox.cli.progress import ProgressBars
from emovox.cores import count_cores
from emovox.corpora.locate import find_ravdess
from emovox.corpora.reference_clips import are_reference_clips
from emovox.evaluation.comparison import Comparison
from emovox.experiments.reproduce import (
    PROTOCOLS,
    SPEAKER_INDEPENDENT,
    ProtocolResult,
    RecipeResult,
    reproduce_reference,
)
from emovox.files import write_text
from emovox.runs.metrics import name_processor

TABLE = Path(__file__).with_name("reference.csv")
OPUS_TABLE = Path(__file__).with_name("reference_opus.csv")
COLUMNS = (
    "protocol", "model", "seeds", "clips", "speakers", "score", "value", "low", "high", "verdict",
    "processor",
)  # fmt: skip


def main(
    out: Path = Path("runs"),
    data: Path | None = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: cores.")] = None,
) -> None:
    """Write the table, a row for each score and each difference."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    copies = are_reference_clips(find_ravdess(data))
    protocols = PROTOCOLS if copies else (*PROTOCOLS, SPEAKER_INDEPENDENT)
    with ProgressBars("reproduce") as watcher:
        for result in reproduce_reference(
            out, data, protocols=protocols, jobs=jobs or count_cores(), watcher=watcher
        ):
            for recipe in result.recipes:
                writer.writerows(list_scores(result, recipe))
            for comparison in (result.comparison, result.gain):
                writer.writerows(list_differences(result, comparison))
    write_text(OPUS_TABLE if copies else TABLE, text.getvalue())


def list_scores(result: ProtocolResult, recipe: RecipeResult) -> list[list[object]]:
    """Return a row for each score of a recipe, and the range of WA over its seeds."""
    summary = recipe.summary
    start = [result.protocol, recipe.name, len(recipe.runs), summary.n_clips, summary.n_speakers]
    end = ["", name_processor()]
    rows: list[list[object]] = [
        [*start, s.name, s.value, s.interval.low, s.interval.high, *end] for s in summary.scores
    ]
    lowest, highest = min(recipe.wa_of_seeds), max(recipe.wa_of_seeds)
    return [*rows, [*start, "WA of single seeds", "", lowest, highest, *end]]


def list_differences(result: ProtocolResult, comparison: Comparison) -> list[list[object]]:
    """Return a row for each score's difference between two recipes; the verdict beside WA's."""
    summary = result.recipes[0].summary
    start = [result.protocol, " minus ".join(comparison.names), max(comparison.n_seeds)]
    rows: list[list[object]] = []
    for d in comparison.differences:
        verdict = comparison.verdict if d.name == "WA" else ""
        counts = [summary.n_clips, summary.n_speakers]
        numbers = [d.value, d.interval.low, d.interval.high]
        rows.append([*start, *counts, d.name, *numbers, verdict, name_processor()])
    return rows


if __name__ == "__main__":
    typer.run(main)
