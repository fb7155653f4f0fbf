"""``emovox evaluate``: score the model files of a run, or any model file on any corpus."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emovox.cli.options import DataOption, ScoreFormat, ScoreFormatOption
from emovox.cli.terminal import echo, echo_json

if TYPE_CHECKING:
    from emovox.evaluation.evaluate import Evaluation
    from emovox.experiments.model_evaluation import ModelEvaluation

N_FAILURES = 10
"""Number of unusable clips listed on stderr; metrics.json lists all."""


def evaluate(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...|MODEL",
            help="A run folder, several seeds of a run under loco, a model.onnx, or 'default' for "
            "the bundled model.",
        ),
    ],
    corpus: Annotated[
        str | None,
        typer.Option(
            "--corpus",
            metavar="NAME|PATH",
            help="Labelled recordings to score a model file on: a known corpus, a CSV list, or a "
            "folder with one subfolder per class.",
        ),
    ] = None,
    data: DataOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Folder for the report and scores of a model file. Default: "
            "runs/evaluate-MODEL-CORPUS.",
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs", metavar="N", min=1, help="Clips processed in parallel (model files only)."
        ),
    ] = 1,
    vad: Annotated[
        bool,
        typer.Option(" /--no-vad", help="Skip speech detection (model files only)."),
    ] = True,
    output: ScoreFormatOption = ScoreFormat.TABLE,
) -> None:
    """Score a run on its own test clips, or a model file on the recordings of --corpus.

    For a run, the test clips are predicted again with its model files, and its scores and report
    are rewritten. Several seeds of a run under loco are averaged. A model file is scored over the
    labels that it shares with the corpus. Clips that cannot be used are reported on stderr and
    skipped; the exit status is then 1.
    """
    from emovox.recognition.model_file import DEFAULT_MODEL

    target, *others = targets
    if others and (corpus is not None or any(not Path(name).is_dir() for name in targets)):
        raise typer.BadParameter(
            "several seeds are run folders, without --corpus; evaluate one model file at a time",
            param_hint="RUN...|MODEL",
        )
    if corpus is None:
        if Path(target).is_file() or target == DEFAULT_MODEL:
            raise typer.BadParameter(
                "a model file needs labelled recordings: --corpus mine.csv", param_hint="--corpus"
            )
        if out is not None or jobs != 1 or not vad:
            raise typer.BadParameter(
                "--out, --jobs and --no-vad are for a model file with --corpus",
                param_hint="RUN...|MODEL",
            )
        if others:
            evaluate_seed_folders([Path(name) for name in targets], data, output)
            return
        evaluate_run_folder(Path(target), data, output)
        return
    if target != DEFAULT_MODEL and Path(target).is_dir():
        raise typer.BadParameter(
            f"a run is scored on its own test clips; for others name one of its model files, such "
            f"as {Path(target) / 'model.onnx'}",
            param_hint="--corpus",
        )
    evaluate_model_file(target, corpus, data, out, jobs, vad, output)


def evaluate_run_folder(run: Path, data: Path | None, output: ScoreFormat) -> None:
    """Score the model files of a run, and print the scores."""
    from emovox.cli.progress import ProgressBars
    from emovox.experiments.finished import evaluate_run
    from emovox.runs.metrics import scores_to_dict

    with ProgressBars(run.name) as watcher:
        evaluation = evaluate_run(run, data, watcher)
    if output is ScoreFormat.JSON:
        content = {**evaluation.summary.to_dict(), **scores_to_dict(evaluation)}
        echo_json(content)
        return
    for line in (*evaluation.describe(), evaluation.describe_calibration()):
        echo(line)
    print_calibration(evaluation)
    echo()
    echo("accuracy of the most confident predictions:")
    for line in evaluation.describe_abstention():
        echo(line)
    print_groups(evaluation)


def evaluate_seed_folders(runs: list[Path], data: Path | None, output: ScoreFormat) -> None:
    """Score the model files of several seeds, and print the scores of each corpus left out."""
    from emovox.cli.progress import ProgressBars
    from emovox.experiments.finished import evaluate_seeds

    with ProgressBars(runs[0].name) as watcher:
        scores, label = evaluate_seeds(runs, data, watcher)
    if output is ScoreFormat.JSON:
        echo_json({"protocol": label, **scores.to_dict()})
        return
    for line in (f"{label}, {scores.describe_basis()}", *scores.describe()):
        echo(line)


def evaluate_model_file(
    model: str,
    corpus: str,
    data: Path | None,
    out: Path | None,
    jobs: int,
    vad: bool,
    output: ScoreFormat,
) -> None:
    """Score a model file on a corpus, and print its scores."""
    from emovox.cli.progress import ProgressBars
    from emovox.experiments.evaluate_model import evaluate_model, name_evaluation_folder

    out = out or name_evaluation_folder(model, corpus)
    with ProgressBars(model) as watcher:
        evaluation = evaluate_model(
            model, corpus, out, data=data, jobs=jobs, vad=vad, watcher=watcher
        )
    for clip in evaluation.unusable[:N_FAILURES]:
        echo(f"emovox: {clip.reason}", err=True)
    if len(evaluation.unusable) > N_FAILURES:
        rest = len(evaluation.unusable) - N_FAILURES
        echo(f"emovox: and {rest:,} more, listed in {out / 'metrics.json'}", err=True)
    if not evaluation.overlap.is_unseen:
        echo(f"emovox: {evaluation.overlap.reason}", err=True)
    if output is ScoreFormat.JSON:
        echo_json(evaluation.to_dict())
    else:
        print_model_scores(evaluation, out)
    if evaluation.unusable:
        raise typer.Exit(1)


def print_model_scores(evaluation: "ModelEvaluation", out: Path) -> None:
    """Print the scores of a model file, and the conditions of the test."""
    echo(f"{evaluation.title}: {evaluation.overlap.kind}; {evaluation.overlap.reason}")
    for line in evaluation.describe_unused():
        echo(line)
    echo(
        f"scored over the {len(evaluation.labels)} labels shared by model and corpus; predictions "
        f"are restricted to these: {', '.join(evaluation.labels)}"
    )
    echo()
    for line in evaluation.describe():
        echo(line)
    echo()
    for line in evaluation.describe_shipped():
        echo(line)
    if evaluation.info.encoder_training:
        echo(evaluation.info.encoder_training)
    if evaluation.overlap.is_unseen:
        echo(
            "the threshold was fitted on other recordings: 'uncertain' is not a "
            "safeguard here; rely on the accuracy printed above"
        )
    print_calibration(evaluation.shipped)
    print_groups(evaluation.scored)
    echo()
    echo(f"report: {out / 'report.html'}")


def print_calibration(evaluation: "Evaluation") -> None:
    """Print calibration by gender and for single speakers."""
    echo()
    echo("confidence against accuracy, percent, 95% interval over speakers:")
    for line in evaluation.calibration_by_group.describe():
        echo(line)


def print_groups(evaluation: "Evaluation") -> None:
    """Print scores by gender and by class."""
    if evaluation.fairness is not None:
        echo()
        echo("by gender:")
        for line in evaluation.fairness.describe():
            echo(line)
    echo()
    echo(f"{'class':<10} precision  recall      F1  clips")
    for entry in evaluation.metrics.per_class:
        if entry.support:
            figures = f"{entry.precision:9.3f} {entry.recall:7.3f} {entry.f1:7.3f}"
            echo(f"{entry.label:<10} {figures} {entry.support:6,}")
        else:
            echo(f"{entry.label:<10} no test clip")
