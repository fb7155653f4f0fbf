"""The shipped model on corpora that it was not trained on.

    EMOVOX_DATA=corpora python benchmarks/elsewhere.py

Scores it as `emovox evaluate default --corpus NAME` does, prints its lines, and writes
`benchmarks/elsewhere.csv`, which is committed and goes into the README.
"""

import csv
import io
from pathlib import Path

import typer

from emovox import evaluate_model
from emovox.files import write_text

TABLE = Path(__file__).with_name("elsewhere.csv")
CORPORA = ("cremad", "nemo")
COLUMNS = "corpus clips speakers labels wa wa_low wa_high ua error kept right".split()


def main(data: Path | None = None, jobs: int = 2) -> None:
    """Score the shipped model on each corpus."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for corpus in CORPORA:
        found = evaluate_model("default", corpus, data=data, jobs=jobs)
        for line in (*found.describe(), *found.describe_shipped()):
            typer.echo(line)
        summary, shipped = found.scored.summary, found.shipped
        wa, own = summary.wa, shipped.abstention.own
        if own is None:
            raise typer.BadParameter("the shipped model has no threshold", param_hint="default")
        counts = [corpus, summary.n_clips, summary.n_speakers, len(found.labels)]
        scores = [wa.value, wa.interval.low, wa.interval.high, summary.ua.value]
        error = shipped.metrics.expected_calibration_error
        writer.writerow([*counts, *scores, error, own.coverage, own.accuracy])
    write_text(TABLE, text.getvalue())


if __name__ == "__main__":
    typer.run(main)
