"""``emovox sweep``: which settings help, every combination under the same protocol."""

import json
from pathlib import Path
from typing import Annotated

import typer

from emovox.cli.options import (
    DataOption,
    ScoreFormat,
    ScoreFormatOption,
    SetOption,
    SplitsOption,
    ThreadsOption,
)


def sweep(
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            metavar="KEY=VALUE,VALUE",
            help="An axis of the grid. Default: RMSprop and Adam x none, L1, L2, dropout, "
            "L2+dropout.",
        ),
    ] = None,
    base: Annotated[
        str, typer.Option("--recipe", metavar="NAME|FILE", help="What the values are put into.")
    ] = "vanilla",
    changes: SetOption = None,
    protocol: Annotated[
        str, typer.Option("--protocol", metavar="NAME", help="Evaluation protocol.")
    ] = "reference-repeated",
    splits: SplitsOption = None,
    data: DataOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Default: runs/sweep-PROTOCOL.")
    ] = None,
    output: ScoreFormatOption = ScoreFormat.TABLE,
    threads: ThreadsOption = None,
) -> None:
    """Train every combination of the given values and print one table with intervals.

    Each combination is compared, paired, with the first. An interrupted sweep goes on where it
    stopped when it is started again.
    """
    from emovox.cli.progress import ProgressBars
    from emovox.experiments.finished import compare_runs
    from emovox.experiments.folds import load_protocol
    from emovox.experiments.sweep import make_default_sweep, make_grid_sweep
    from emovox.experiments.train_and_test import run_experiment, set_threads
    from emovox.files import name_folder
    from emovox.training.features import FeatureCache

    shared = [*(changes or []), f"data.protocol={protocol!r}"]
    combinations = make_grid_sweep(base, shared, grid) if grid else make_default_sweep(base, shared)
    set_threads(threads)
    folder = out or Path("runs") / name_folder(f"sweep-{protocol}")
    features = FeatureCache()
    rows = []
    for number, combination in enumerate(combinations, 1):
        folds = load_protocol(combination.recipe, data, n_splits=splits)
        # Under a folder per number of splits, a quick look does not stand in the full sweep's way.
        run_folder = folder / f"{len(folds.folds)}-folds" / combination.recipe.name
        with ProgressBars(f"{combination.name} ({number}/{len(combinations)})") as watcher:
            run = run_experiment(
                combination.recipe,
                folds,
                run_folder,
                features=features,
                resume=True,
                keep_models=False,
                watcher=watcher,
            )
        if run.evaluation is None:
            raise typer.BadParameter(f"{protocol} tests nothing")
        rows.append((combination.name, run_folder, run.evaluation))
    first_name, first_folder, first = rows[0]
    table = []
    for name, run_folder, evaluation in rows:
        against = None if run_folder == first_folder else compare_runs(run_folder, first_folder)[0]
        table.append((name, evaluation, against))
    if output is ScoreFormat.JSON:
        content = [
            {
                "name": name,
                **evaluation.summary.to_dict(),
                "against_first": against and against.to_dict(),
            }
            for name, evaluation, against in table
        ]
        typer.echo(json.dumps(content, indent=2))
        return
    typer.echo(f"{first.describe_basis()}; differences, paired, from {first_name}")
    typer.echo(f"{'':<24} {'WA (95% interval)':<24} {'UA':>5}  {'F1':>5}  difference in WA")
    for name, evaluation, against in table:
        wa, ua, f1 = evaluation.summary.scores
        low, high = 100 * wa.interval.low, 100 * wa.interval.high
        interval = f"{100 * wa.value:.1f} ({low:.1f} to {high:.1f})"
        note = ""
        if against is not None:
            d = against.wa
            low, high = 100 * d.interval.low, 100 * d.interval.high
            shown = "better" if low > 0 else "worse" if high < 0 else "not shown to differ"
            note = f"{100 * d.value:+.1f} ({low:+.1f} to {high:+.1f}): {shown}"
        scores = f"{100 * ua.value:5.1f}  {100 * f1.value:5.1f}"
        typer.echo(f"{name:<24} {interval:<24} {scores}  {note}")
