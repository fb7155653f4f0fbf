"""A sweep: train and test every combination of given values as a separate recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from emovox.errors import ProtocolError, RecipeError
from emovox.evaluation.comparison import Comparison
from emovox.evaluation.evaluate import Evaluation
from emovox.experiments.finished import compare_runs
from emovox.experiments.folds import load_protocol
from emovox.experiments.train_and_test import Experiment, run_experiments
from emovox.files import name_folder
from emovox.progress import Watcher
from emovox.recipes.recipe import Recipe, format_change, load_recipe

# The question of the reference: which of these techniques help?
DEFAULT_OPTIMIZERS = ("rmsprop", "adam")
DEFAULT_TECHNIQUES: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "L1": ("regularization.l1=1e-4",),
    "L2": ("regularization.l2=0.01",),
    "dropout": ("regularization.dropout=0.5",),
    "L2+dropout": ("regularization.l2=0.01", "regularization.dropout=0.5"),
}


@dataclass(frozen=True, slots=True)
class Combination:
    """One cell of a sweep.

    Attributes:
        name: Display name and folder name, e.g. ``"adam+L2"``.
        recipe: The base recipe with the combination's values.
    """

    name: str
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class SweepRow:
    """Scores of one combination.

    Attributes:
        name: Name of the combination, e.g. ``"adam+L2"``.
        folder: Run folder of the combination, without models.
        evaluation: Scores of the combination.
        against_first: Paired comparison with the sweep's first combination; ``None`` for the first.
    """

    name: str
    folder: Path
    evaluation: Evaluation
    against_first: Comparison | None

    def to_dict(self) -> dict[str, Any]:
        """Return name, scores and comparison as JSON-ready types."""
        return {
            "name": self.name,
            **self.evaluation.summary.to_dict(),
            "against_first": self.against_first and self.against_first.to_dict(),
        }


def sweep_recipe(
    base: str | Path = "vanilla",
    folder: Path | None = None,
    *,
    grid: Sequence[str] = (),
    changes: Sequence[str] = (),
    protocol: str = "reference-repeated",
    n_splits: int | None = None,
    data: Path | None = None,
    allow_similar_speakers: bool = False,
    jobs: int = 1,
    watcher: Watcher | None = None,
) -> tuple[SweepRow, ...]:
    """Train and test every combination of given values on the same folds.

    Finished combinations are kept: the same call continues an interrupted sweep.

    Args:
        base: Base recipe: a name, or the path of a TOML file.
        folder: Output folder; ``None`` for ``runs/sweep-PROTOCOL``.
        grid: One ``"section.key=value,value"`` per axis. The default is RMSprop and Adam, each with
            no regularisation, L1, L2, dropout, and L2 with dropout.
        changes: ``"section.key=value"`` settings for all combinations.
        protocol: Name of the protocol.
        n_splits: Keep only the first folds, for a quick look.
        data: Folder of the corpora; ``None`` searches the usual places.
        allow_similar_speakers: As in ``load_protocol``.
        jobs: Number of folds that train at the same time, each in a process with one thread.
        watcher: Receives progress updates.

    Returns:
        One row per combination, in the order of the grid.

    Raises:
        RecipeError: An axis cannot be read, or a value does not fit the recipe.
        ProtocolError: The protocol does not fit the corpus, or has no test clips.
        CorpusError: The corpus was not found.
    """
    shared = [*changes, format_change("data.protocol", protocol)]
    combinations = make_grid_sweep(base, shared, grid) if grid else make_default_sweep(base, shared)
    folder = folder or Path("runs") / name_folder(f"sweep-{protocol}")
    experiments = []
    for number, combination in enumerate(combinations, 1):
        folds = load_protocol(
            combination.recipe,
            data,
            n_splits=n_splits,
            allow_similar_speakers=allow_similar_speakers,
        )
        if not any(fold.test for fold in folds.folds):
            raise ProtocolError(
                f"{protocol} has no test clips, which a sweep compares; choose another --protocol"
            )
        title = f"{combination.name} ({number}/{len(combinations)})"
        # A separate folder per number of folds keeps a quick look apart from the full sweep.
        run_folder = folder / f"{len(folds.folds)}-folds" / combination.recipe.name
        experiments.append(
            Experiment(title, combination.recipe, folds, run_folder, keep_models=False)
        )
    runs = run_experiments(experiments, jobs=jobs, watcher=watcher)
    rows: list[SweepRow] = []
    for combination, run in zip(combinations, runs, strict=True):
        against = compare_runs(run.folder, rows[0].folder)[0] if rows else None
        rows.append(SweepRow(combination.name, run.folder, run.scores, against))
    return tuple(rows)


def make_default_sweep(base: str | Path, changes: Sequence[str]) -> list[Combination]:
    """Combine RMSprop and Adam with no regularisation, L1, L2, dropout, and L2 with dropout."""
    return [
        make_combination(
            base,
            changes,
            f"{optimizer}+{technique}",
            [f"training.optimizer={optimizer}", *settings],
        )
        for optimizer, (technique, settings) in product(
            DEFAULT_OPTIMIZERS, DEFAULT_TECHNIQUES.items()
        )
    ]


def make_grid_sweep(
    base: str | Path, changes: Sequence[str], grid: Sequence[str]
) -> list[Combination]:
    """Make every combination of the values of several axes.

    Args:
        base: Base recipe.
        changes: ``"section.key=value"`` settings for all combinations.
        grid: One ``"section.key=value,value,..."`` per axis. Values that contain commas are
            written in brackets or quotes as in TOML, and separated by ``;`` instead.

    Returns:
        One combination per cell of the grid.

    Raises:
        RecipeError: An axis cannot be read, or a value does not fit the recipe.
    """
    axes: list[list[str]] = []
    for axis in grid:
        key, equals, text = axis.partition("=")
        values = [v.strip() for v in text.split(";" if ";" in text else ",")]
        if not equals or not all(values):
            raise RecipeError(f"cannot read {axis!r}; expected section.key=value,value,...")
        axes.append([f"{key.strip()}={value}" for value in values])
    combinations = []
    for cell in product(*axes):
        name = "+".join(setting.rpartition(".")[2].replace("=", "-") for setting in cell)
        combinations.append(make_combination(base, changes, name, list(cell)))
    return combinations


def make_combination(
    base: str | Path, changes: Sequence[str], name: str, settings: list[str]
) -> Combination:
    """Apply a combination's settings to the base recipe, and name it after the combination."""
    safe = "".join(c if c.isalnum() or c in "._+-" else "-" for c in name)[:80]
    recipe = load_recipe(base, [*changes, *settings, f"name={safe!r}"])
    return Combination(name, recipe)
