"""``emovox compare``: whether one run or recipe is significantly better than another."""

from pathlib import Path
from typing import Annotated

import typer

from emovox.cli.options import ScoreFormat, ScoreFormatOption
from emovox.cli.paragraphs import echo_wrapped
from emovox.cli.terminal import echo, echo_json


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN RUN...",
            help="Two run folders, or the run folders of several seeds of two recipes.",
        ),
    ],
    output: ScoreFormatOption = ScoreFormat.TABLE,
) -> None:
    """Compare two runs on the same test clips, with paired intervals and a verdict.

    With two runs, the two trained models are compared. With several seeds of two recipes, in any
    order, the recipes are compared, and the intervals include the variation between seeds.
    """
    from emovox.evaluation.over_corpora import FOUR_CLASSES
    from emovox.experiments.finished import compare_runs, part_seeds

    comparison, label = compare_runs(*part_seeds(runs))
    if output is ScoreFormat.JSON:
        echo_json({"protocol": label, **comparison.to_dict()})
        return
    a, b = comparison.names
    echo_wrapped(f"{label}; {a} minus {b}, in points")
    rows = [(d.name, d) for d in comparison.differences]
    if comparison.four:
        rows.append(("UA4", comparison.four))
    for name, d in rows:
        interval = f"{100 * d.interval.low:+.1f} to {100 * d.interval.high:+.1f}"
        echo(
            f"{name:<3} {100 * d.first:5.1f}  {100 * d.second:5.1f}  {100 * d.value:+5.1f}  "
            f"(95% interval {interval})"
        )
    if comparison.four:
        echo_wrapped(f"means over corpora; UA4: UA over {', '.join(FOUR_CLASSES)}")
    if max(comparison.n_seeds) > 1:
        for name, values in zip(comparison.names, comparison.of_seeds, strict=True):
            seeds = " ".join(f"{100 * value:.1f}" for value in values)
            echo_wrapped(f"{comparison.decisive.name} of each seed of {name}: {seeds}")
    echo_wrapped(comparison.verdict)
