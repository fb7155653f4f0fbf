"""``emovox evaluate``: score a run's model files again."""

import json

import typer

from emovox.cli.options import DataOption, RunArgument, ScoreFormat, ScoreFormatOption


def evaluate(
    run: RunArgument, data: DataOption = None, output: ScoreFormatOption = ScoreFormat.TABLE
) -> None:
    """Predict a run's test clips again with its model files, and write scores and report anew."""
    from emovox.cli.progress import ProgressBars
    from emovox.experiments.finished import evaluate_run

    with ProgressBars(run.name) as watcher:
        evaluation = evaluate_run(run, data, watcher)
    takes = evaluation.repeated_takes
    if output is ScoreFormat.JSON:
        content = {
            **evaluation.summary.to_dict(),
            "metrics": evaluation.metrics.to_dict(),
            "calibration_interval": evaluation.calibration_interval.to_dict(),
            "calibration_by_group": evaluation.calibration_by_group.to_dict(),
            "abstention": evaluation.abstention.to_dict(),
            "fairness": evaluation.fairness.to_dict() if evaluation.fairness else None,
            "repeated_takes": takes.to_dict() if takes else None,
        }
        typer.echo(json.dumps(content, indent=2))
        return
    for line in evaluation.describe():
        typer.echo(line)
    metrics = evaluation.metrics
    typer.echo(evaluation.describe_calibration())
    typer.echo("\nconfidence against accuracy, percent, 95% interval over speakers:")
    for line in evaluation.calibration_by_group.describe():
        typer.echo(line)
    typer.echo("\naccuracy of the most confident predictions:")
    for line in evaluation.describe_abstention():
        typer.echo(line)
    if evaluation.fairness is not None:
        typer.echo("\nby gender:")
        for line in evaluation.fairness.describe():
            typer.echo(line)
    typer.echo(f"\n{'class':<10} precision  recall      F1  clips")
    for entry in metrics.per_class:
        if entry.support:
            figures = f"{entry.precision:9.3f} {entry.recall:7.3f} {entry.f1:7.3f}"
            typer.echo(f"{entry.label:<10} {figures} {entry.support:6,}")
        else:
            typer.echo(f"{entry.label:<10} no test clip")
