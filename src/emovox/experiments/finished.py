"""Finished runs: collect their folds, evaluate them again, and compare two."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from emovox.corpora.folds import Protocol
from emovox.corpora.loco import LOCO
from emovox.errors import ProtocolError, RunError
from emovox.evaluation.compare import compare_predictions
from emovox.evaluation.comparison import Comparison
from emovox.evaluation.evaluate import BOOTSTRAP_SEED, Evaluation, evaluate_predictions
from emovox.evaluation.over_corpora import (
    ScoresOverCorpora,
    choose_four_classes,
    score_over_corpora,
)
from emovox.evaluation.predictions import Predictions, concatenate_predictions, widen_labels
from emovox.evaluation.summary import choose_resampling
from emovox.experiments.predict_clips import predict_fold
from emovox.export.metadata import write_scores
from emovox.files import write_text
from emovox.labels import order_labels
from emovox.progress import Watcher
from emovox.recipes.recipe import Recipe
from emovox.runs.folder import (
    CALIBRATION_NAME,
    HISTORY_NAME,
    METRICS_NAME,
    MODEL_NAME,
    PREDICTIONS_NAME,
    find_fold_folder,
    open_finished_run,
    open_recipe,
    open_seeds,
    trains_alike,
)
from emovox.runs.history import read_history
from emovox.runs.metrics import write_metrics
from emovox.runs.predictions import read_predictions, write_predictions
from emovox.runs.protocol import load_run_protocol, measure_test_to_train
from emovox.runs.scores import read_calibration
from emovox.wording import count


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run.

    Attributes:
        folder: The run folder.
        recipe: Recipe of the run.
        predictions: Predictions for all test clips.
        evaluation: Scores of the predictions; ``None`` if the run has no test clips.
    """

    folder: Path
    recipe: Recipe
    predictions: Predictions | None
    evaluation: Evaluation | None

    @property
    def scores(self) -> Evaluation:
        """Scores of a run with test clips.

        Raises:
            RunError: The run has no test clips.
        """
        if self.evaluation is None:
            raise RunError(
                f"{self.folder}: the run has no test clips; train it under another protocol"
            )
        return self.evaluation


def finish_run(recipe: Recipe, protocol: Protocol, folder: Path, *, keep_models: bool) -> Run:
    """Combine the folds of a run: write history, predictions, scores and report."""
    if not any(fold.test for fold in protocol.folds):
        return Run(folder, recipe, None, None)
    folders = [find_fold_folder(folder, fold, len(protocol.folds)) for fold in protocol.folds]
    parts = [read_predictions(f / PREDICTIONS_NAME) for f in folders]
    labels = order_labels(label for part in parts for label in part.labels)
    predictions = concatenate_predictions([widen_labels(part, labels) for part in parts])
    calibrations = {
        fold.name: read_calibration(fold_folder / CALIBRATION_NAME)
        for fold, fold_folder in zip(protocol.folds, folders, strict=True)
    }
    evaluation = evaluate_predictions(protocol, predictions, calibrations)
    write_predictions(folder / PREDICTIONS_NAME, predictions)
    header, *_ = (folders[0] / HISTORY_NAME).read_text(encoding="utf-8").splitlines()
    rows = [
        row
        for fold_folder in folders
        for row in (fold_folder / HISTORY_NAME).read_text(encoding="utf-8").splitlines()[1:]
    ]
    write_text(folder / HISTORY_NAME, "\n".join([header, *rows]) + "\n")
    histories = read_history(folder / HISTORY_NAME)
    write_metrics(folder / METRICS_NAME, evaluation, recipe, histories, calibrations)
    if keep_models:
        # Importing matplotlib takes a second, so import it only when needed.
        from emovox.report.page import write_report

        for fold_folder in folders:
            write_scores(fold_folder / MODEL_NAME, evaluation.to_scores())
        write_report(folder, {c.name: c for fold in protocol.folds for c in fold.test})
    return Run(folder, recipe, predictions, evaluation)


def evaluate_run(folder: Path, data: Path | None, watcher: Watcher | None = None) -> Evaluation:
    """Repeat the predictions, scores and report of a run from its model files.

    Args:
        folder: The run folder.
        data: Folder of the corpora; ``None`` searches the usual places.
        watcher: Receives progress updates.

    Returns:
        The scores.

    Raises:
        RunError: The run is not finished.
        ModelFileError: A model file is missing or damaged.
    """
    watcher = watcher or Watcher()
    run = open_finished_run(folder)
    protocol = load_run_protocol(run, data)
    for fold in protocol.folds:
        watcher.start_fold(fold.name, len(protocol.folds))
        watcher.start_clips("test clips", len(fold.test))
        fold_folder = find_fold_folder(folder, fold, len(protocol.folds))
        predictions = predict_fold(fold_folder / MODEL_NAME, fold, watcher.end_clip)
        write_predictions(fold_folder / PREDICTIONS_NAME, predictions)
    return finish_run(run.recipe, protocol, folder, keep_models=True).scores


def evaluate_seeds(
    folders: Sequence[Path], data: Path | None, watcher: Watcher | None = None
) -> tuple[ScoresOverCorpora, str]:
    """Evaluate several seeds of a leave-one-corpus-out run again, and average their scores.

    Args:
        folders: Run folders that differ only in seed.
        data: Folder of the corpora; ``None`` searches the usual places.
        watcher: Receives progress updates.

    Returns:
        The scores of each corpus left out, and the protocol's label.

    Raises:
        RunError: A run is not finished, or the runs differ in more than the seed, or are not of
            this protocol.
        ModelFileError: A model file is missing or damaged.
    """
    runs = open_seeds(folders)
    if runs[0].scores.protocol.name != LOCO:
        raise RunError(
            f"{folders[0]} was tested under {runs[0].label}; only runs under {LOCO} are evaluated "
            "together: evaluate them one at a time, or use 'emovox compare'"
        )
    for run in runs:
        evaluate_run(run.folder, data, watcher)
    seeds = [read_predictions(run.folder / PREDICTIONS_NAME) for run in runs]
    return score_over_corpora(seeds, np.random.default_rng(BOOTSTRAP_SEED)), runs[0].label


def compare_runs(
    first: Path | Sequence[Path], second: Path | Sequence[Path]
) -> tuple[Comparison, str]:
    """Compare two runs, or several seeds of each of two recipes, on the same test clips.

    Args:
        first: A run folder, or the run folders of several seeds of one recipe.
        second: The same for the other recipe, with the same protocol and version.

    Returns:
        The comparison, and the protocol's label.

    Raises:
        RunError: A side has no run or an unfinished run, or its runs differ in more than the seed.
        ProtocolError: The protocols or test clips differ, or only one side has several runs.
    """
    folders = [[side] if isinstance(side, Path) else list(side) for side in (first, second)]
    if not all(folders):
        raise RunError("found a side without a run; expected one or more: check the pattern")
    sides = [open_seeds(side) for side in folders]
    a, b = sides[0][0], sides[1][0]
    if a.label != b.label:
        raise ProtocolError(
            f"{a.folder} was tested under {a.label}, {b.folder} under {b.label}; scores are only "
            "compared within one protocol: train one of them again with --protocol"
        )
    seeds = [[read_predictions(run.folder / PREDICTIONS_NAME) for run in side] for side in sides]
    independent = a.scores.protocol.speaker_independent
    resample_by = choose_resampling(
        seeds[0][0], speaker_independent=independent, protocol=a.scores.protocol.name
    )
    names = (a.recipe.name, b.recipe.name)
    if names[0] == names[1]:
        names = (_name_seeds(folders[0]), _name_seeds(folders[1]))
    compare = partial(
        compare_predictions,
        resample_by=resample_by,
        generator=np.random.default_rng(BOOTSTRAP_SEED),
        names=names,
        test_to_train=measure_test_to_train(a) if resample_by == "splits" else None,
    )
    comparison = compare(*seeds)
    if resample_by == "corpora":
        fours = [[choose_four_classes(part) for part in side] for side in seeds]
        chosen = [[part for part in side if part is not None] for side in fours]
        if all(chosen):
            comparison = replace(comparison, four=compare(*chosen).ua)
    return comparison, a.label


def part_seeds(folders: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Group run folders by recipe, ignoring the seed.

    Args:
        folders: Two run folders, or several runs of two recipes, in any order.

    Returns:
        The folders of the recipe that comes first, and those of the other recipe.

    Raises:
        RunError: A folder is not a run folder, or more than two folders do not hold exactly two
            recipes.
    """
    if len(folders) == 2:
        return [folders[0]], [folders[1]]
    groups: list[tuple[Recipe, list[Path]]] = []
    for folder in folders:
        recipe = open_recipe(folder)
        for known, members in groups:
            if trains_alike(recipe, known):
                members.append(folder)
                break
        else:
            groups.append((recipe, [folder]))
    if len(groups) != 2:
        names = ", ".join(recipe.name for recipe, _ in groups) or "none"
        raise RunError(
            f"found runs of {count(len(groups), 'recipe')} ({names}); expected two runs, or "
            "several seeds of two recipes: leave out the others"
        )
    return groups[0][1], groups[1][1]


def _name_seeds(folders: Sequence[Path]) -> str:
    """Name a side after its folders, for when the recipe's name is ambiguous."""
    more = f" and {len(folders) - 1} more" if len(folders) > 1 else ""
    return f"{folders[0]}{more}"
