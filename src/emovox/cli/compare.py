"""``emovox compare``: whether the data show one run better than another."""

import json

import typer

from emovox.cli.options import RunArgument, ScoreFormat, ScoreFormatOption


def compare(
    first: RunArgument, second: RunArgument, output: ScoreFormatOption = ScoreFormat.TABLE
) -> None:
    """Compare two runs on the same test clips, paired, with intervals, and say what follows."""
    from emovox.experiments.finished import compare_runs

    comparison, label = compare_runs(first, second)
    if output is ScoreFormat.JSON:
        typer.echo(json.dumps({"protocol": label, **comparison.to_dict()}, indent=2))
        return
    a, b = comparison.names
    typer.echo(f"{label}; {a} minus {b}, in points")
    for d in comparison.differences:
        interval = f"{100 * d.interval.low:+.1f} to {100 * d.interval.high:+.1f}"
        typer.echo(
            f"{d.name}  {100 * d.first:5.1f}  {100 * d.second:5.1f}  {100 * d.value:+5.1f}  "
            f"(95% interval {interval})"
        )
    typer.echo(comparison.verdict)
