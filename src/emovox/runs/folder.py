"""The run folder: where its files are, how to create it, and how to open a finished one."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from emovox.corpora.folds import Fold, Protocol
from emovox.corpora.splits import format_split
from emovox.errors import RunError
from emovox.files import write_text
from emovox.recipes.recipe import Recipe, change_settings, load_recipe
from emovox.runs.scores import RunScores, read_scores
from emovox.wording import name_speaker_rule

RECIPE_NAME = "recipe.toml"
CHOSEN_NAME = "chosen.toml"
SPLIT_NAME = "split.csv"
SPLIT_DIGEST_NAME = "split.csv.sha256"
LOCK_NAME = "train.lock"
HISTORY_NAME = "history.csv"
CALIBRATION_NAME = "calibration.json"
PREDICTIONS_NAME = "predictions.csv"
METRICS_NAME = "metrics.json"
STRESS_NAME = "stress.csv"
REPORT_NAME = "report.html"
WEIGHTS_NAME = "weights.safetensors"
MODEL_NAME = "model.onnx"
CHECKPOINT_FOLDER = "checkpoint"
REFIT_FOLDER = "refit"


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A complete run folder.

    Attributes:
        folder: Path of the folder.
        recipe: Recipe of the run.
        scores: Validated content of ``metrics.json``.
    """

    folder: Path
    recipe: Recipe
    scores: RunScores

    @property
    def label(self) -> str:
        """Protocol and version, and whether the run is speaker-independent."""
        protocol = self.scores.protocol
        rule = name_speaker_rule(protocol.speaker_independent)
        return f"{protocol.name} v{protocol.version}, {rule}"


def find_fold_folder(folder: Path, fold: Fold, n_folds: int) -> Path:
    """Return the folder of a fold's files: a subfolder, or the run folder if there is one fold."""
    return folder / f"fold-{fold.name}" if n_folds > 1 else folder


@contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a run folder; the system frees the lock if this process dies.

    Raises:
        RunError: Another training writes into the folder, or nothing can be written into it.
    """
    # Only training needs the package, and evaluation imports this module too.
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK_NAME, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise RunError(
            f"another training is writing into {folder}; wait until it ends, stop it, or choose "
            "another folder with --out"
        ) from None
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be written to ({error.strerror}); choose another folder with --out"
        ) from None
    try:
        yield
    finally:
        lock.release()


def open_run(folder: Path, recipe: Recipe, protocol: Protocol, *, resume: bool) -> None:
    """Create the run folder, or check that an existing one belongs to the same run.

    Raises:
        RunError: The folder already holds a run and ``resume`` is not set, or another run.
    """
    recipe_path, split_path = folder / RECIPE_NAME, folder / SPLIT_NAME
    if recipe_path.exists():
        if not resume:
            raise RunError(
                f"{folder} already holds a run; continue it with --resume, or choose another "
                "folder with --out"
            )
        # The search space does not affect a run.
        if change_settings(load_recipe(recipe_path), {}) != change_settings(recipe, {}):
            raise RunError(
                f"{recipe_path} differs from the requested recipe; resume with the same recipe "
                "and --set values, or choose another folder with --out"
            )
    split = format_split(protocol)
    if split_path.exists() and split_path.read_text(encoding="utf-8") != split:
        raise RunError(
            f"{split_path} differs from the requested split: other clips or another protocol; "
            "choose another folder with --out"
        )
    write_split(folder, split)
    write_text(recipe_path, recipe.to_toml())


def write_split(folder: Path, split: str) -> None:
    """Write ``split.csv`` and its SHA-256, as ``sha256sum`` does."""
    write_text(folder / SPLIT_NAME, split)
    digest = hashlib.sha256(split.encode()).hexdigest()
    write_text(folder / SPLIT_DIGEST_NAME, f"{digest}  {SPLIT_NAME}\n")


def check_split(folder: Path) -> None:
    """Check that ``split.csv`` is as the run wrote it; runs without its SHA-256 are accepted.

    Raises:
        RunError: The file has changed, or cannot be read.
    """
    if not (folder / SPLIT_DIGEST_NAME).exists():
        return
    try:
        content = (folder / SPLIT_NAME).read_bytes()
        expected = (folder / SPLIT_DIGEST_NAME).read_text(encoding="utf-8").split()[:1]
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{folder / SPLIT_NAME}: cannot be checked ({error})") from None
    if expected != [hashlib.sha256(content).hexdigest()]:
        raise RunError(
            f"{folder / SPLIT_NAME}: its content does not match {SPLIT_DIGEST_NAME}: clips were "
            "lost or changed since the training; restore the file, or train again"
        )


def open_finished_run(folder: Path) -> FinishedRun:
    """Open a run folder.

    Raises:
        RunError: It is not a run folder, its run is not finished, or its split has changed.
    """
    check_split(folder)
    return FinishedRun(folder, open_recipe(folder), read_scores(folder / METRICS_NAME))


def open_recipe(folder: Path) -> Recipe:
    """Read the recipe of a run folder.

    Raises:
        RunError: It is not a run folder.
    """
    if not (folder / RECIPE_NAME).is_file():
        raise RunError(f"{folder} is not a run folder (no recipe.toml in it); expected runs/NAME")
    return load_recipe(folder / RECIPE_NAME)


def open_fold_recipe(fold_folder: Path, recipe: Recipe) -> Recipe:
    """Return the recipe that a nested search chose for a fold, otherwise that of the run.

    Raises:
        RecipeError: The fold's recipe is damaged.
    """
    path = fold_folder / CHOSEN_NAME
    return load_recipe(path) if path.exists() else recipe


def open_seeds(folders: Sequence[Path]) -> list[FinishedRun]:
    """Open runs of one recipe and protocol that differ only in seed.

    Args:
        folders: Run folders, at least one.

    Returns:
        The runs, in the order of ``folders``.

    Raises:
        RunError: A run is not finished, or the runs differ in more than the seed, or two have the
            same seed.
    """
    runs = [open_finished_run(folder) for folder in folders]
    expected = "expected runs of one recipe and protocol that differ only in seed"
    first = runs[0]
    for run in runs[1:]:
        differs = [
            what
            for what, same in (
                ("recipe", trains_alike(run.recipe, first.recipe)),
                ("protocol", run.label == first.label),
                ("split", read_split_text(run) == read_split_text(first)),
            )
            if not same
        ]
        if differs:
            raise RunError(
                f"{run.folder} has another {' and '.join(differs)} than {first.folder}; {expected}:"
                " use one run at a time"
            )
    seeds = [run.recipe.seed for run in runs]
    if len(set(seeds)) < len(seeds):
        raise RunError(
            f"found the seeds {', '.join(map(str, seeds))} in {', '.join(map(str, folders))}; "
            f"{expected}: name each run once, or train another with --set seed=N"
        )
    return runs


def trains_alike(first: Recipe, second: Recipe) -> bool:
    """Return whether two recipes are the same except for the seed."""
    return change_settings(first, {"seed": second.seed}) == change_settings(second, {})


def read_split_text(run: FinishedRun) -> str:
    """Return a run's ``split.csv``."""
    return (run.folder / SPLIT_NAME).read_text(encoding="utf-8")
