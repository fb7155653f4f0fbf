"""Read the data of a report, from a training run or a model file's evaluation."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from emovox.corpora.clips import Clip
from emovox.corpora.cross import list_corpora, name_tested
from emovox.errors import RunError
from emovox.evaluation.abstention import Abstention, answer_as_shipped, measure_abstention
from emovox.evaluation.predictions import Predictions, restrict_labels
from emovox.evaluation.stress_scores import StressRow
from emovox.recipes.recipe import load_recipe
from emovox.recognition.model_file import find_model
from emovox.report import notes
from emovox.runs.corpus import RunCorpus, load_run_clips, read_run_corpus
from emovox.runs.folder import (
    HISTORY_NAME,
    METRICS_NAME,
    MODEL_NAME,
    PREDICTIONS_NAME,
    RECIPE_NAME,
    STRESS_NAME,
    open_finished_run,
)
from emovox.runs.history import FoldHistory, read_history
from emovox.runs.predictions import read_predictions
from emovox.runs.scores import (
    IntervalEntry,
    ModelScores,
    RunScores,
    read_model_scores,
    read_scores,
)
from emovox.runs.stress import read_stress
from emovox.wording import count, name_speaker_rule


@dataclass(frozen=True, slots=True, eq=False)
class ReportSource:
    """Data of a report that differ between runs and model files.

    Attributes:
        scores: Validated content of ``metrics.json``.
        kicker: Kind of report, shown above the title.
        badge: Short label shown with the scores.
        is_good: Whether the test speakers or corpora are unseen.
        facts: Names and values of model and test data, shown under the title.
        description: Description of the test clips.
        basis: Short basis of the scores, shown with each figure.
        grounds: Full basis of the scores.
        predictions: Predictions that WA, UA and F1 are computed from.
        trusted: Predictions that calibration is computed from.
        calibration_interval: Interval of the expected calibration error of ``trusted``.
        temperatures: Sentence on the calibration of the models.
        abstention: Accuracy and coverage with abstention.
        own_words: Sentence on abstention at the model's own threshold.
        limits: Sentences on what the scores do not show.
        corpus: Name or path of the test corpus.
        model_paths: Path of each fold's model file; missing files are left out.
        settings: Heading, and recipe of the model as TOML.
        histories: Training histories; none for a model file.
        stress: Rows of a stress test, if any.
        checked: What the check of the run's clips found.
    """

    scores: RunScores | ModelScores
    kicker: str
    badge: str
    is_good: bool
    facts: tuple[tuple[str, str], ...]
    description: str
    basis: str
    grounds: str
    predictions: Predictions
    trusted: Predictions
    calibration_interval: IntervalEntry | None
    temperatures: str
    abstention: Abstention
    own_words: str
    limits: list[str]
    corpus: str
    model_paths: Mapping[str, Path]
    settings: tuple[str, str]
    histories: tuple[FoldHistory, ...] = ()
    stress: tuple[StressRow, ...] = ()
    checked: RunCorpus = RunCorpus()

    @property
    def run(self) -> RunScores | None:
        """Scores of a run; ``None`` for a model file's evaluation."""
        return self.scores if isinstance(self.scores, RunScores) else None


def is_model_evaluation(folder: Path) -> bool:
    """Return whether a folder was written by ``emovox evaluate MODEL``, and is not a run."""
    return (folder / METRICS_NAME).exists() and not (folder / RECIPE_NAME).exists()


def load_report_clips(folder: Path, data: Path | None = None) -> dict[str, Clip]:
    """Find the recordings of a report.

    Args:
        folder: Folder of a run or of a model file's evaluation.
        data: Folder of the known corpora; ``None`` searches the usual places.

    Returns:
        The clips, keyed by name.

    Raises:
        CorpusError: The corpus was not found.
        RunError: The folder holds neither a run nor an evaluation.
    """
    if is_model_evaluation(folder):
        corpora: tuple[str, ...] = (read_model_scores(folder / METRICS_NAME).corpus.source,)
    else:
        settings = open_finished_run(folder).recipe.data
        corpora = list_corpora(settings.protocol, settings.corpora)
    return {clip.name: clip for clip in load_run_clips(folder, corpora, data)}


def read_source(folder: Path) -> ReportSource:
    """Read the data of a report.

    Args:
        folder: Folder of a run or of a model file's evaluation.

    Returns:
        The validated content of the folder's files.

    Raises:
        RunError: A file is missing or damaged.
        RecipeError: The recipe cannot be read.
    """
    if not folder.is_dir():
        raise RunError(f"{folder}: no such run folder; expected one written by 'emovox train'")
    return read_model(folder) if is_model_evaluation(folder) else read_run(folder)


def read_run(folder: Path) -> ReportSource:
    """Read a training run."""
    scores = read_scores(folder / METRICS_NAME)
    predictions = read_predictions(folder / PREDICTIONS_NAME)
    recipe = load_recipe(folder / RECIPE_NAME)
    corpus = name_tested(recipe.data.protocol, recipe.data.corpora)
    protocol = scores.protocol
    rule = name_speaker_rule(protocol.speaker_independent)
    names = [fold.fold for fold in scores.folds]
    folders = {name: folder / f"fold-{name}" if len(names) > 1 else folder for name in names}
    abstention = measure_abstention(predictions, find_own_thresholds(scores))
    stress_path = folder / STRESS_NAME
    return ReportSource(
        scores=scores,
        kicker="emovox evaluation report",
        badge=rule,
        is_good=protocol.speaker_independent,
        facts=(
            ("protocol", f"{protocol.name} (version {protocol.version})"),
            ("recipe", scores.recipe),
        ),
        description=protocol.description,
        basis=f"{protocol.name}, {rule}",
        grounds=f"Protocol {protocol.name}, {rule}; {count(scores.n_folds, 'fold')}, "
        f"{count(scores.n_seeds, 'seed')}",
        predictions=predictions,
        trusted=predictions,
        calibration_interval=scores.calibration_interval,
        temperatures=notes.describe_temperatures(scores.folds),
        abstention=abstention,
        own_words=notes.describe_own_threshold(abstention.own, scores.n_folds, predictions),
        limits=notes.describe_limits(scores, predictions, corpus),
        corpus=corpus,
        model_paths={name: below / MODEL_NAME for name, below in folders.items()},
        settings=("recipe.toml", (folder / RECIPE_NAME).read_text(encoding="utf-8").strip()),
        histories=read_history(folder / HISTORY_NAME),
        stress=read_stress(stress_path) if stress_path.exists() else (),
        checked=read_run_corpus(folder),
    )


def read_model(folder: Path) -> ReportSource:
    """Read a model file's evaluation."""
    scores = read_model_scores(folder / METRICS_NAME)
    trusted = read_predictions(folder / PREDICTIONS_NAME)
    model, corpus = scores.model, scores.corpus
    if trusted.labels != model.labels or not set(scores.labels) <= set(model.labels):
        raise RunError(
            f"{folder}: predictions.csv and metrics.json have different labels; expected both "
            "from one evaluation: evaluate the model again"
        )
    own = answer_as_shipped(trusted, model.min_confidence, scores.no_speech)
    path = find_model(model.file)
    return ReportSource(
        scores=scores,
        kicker="emovox evaluation of a model file",
        badge=corpus.overlap,
        is_good=corpus.is_unseen,
        facts=(
            ("model", f"{model.name} (SHA-256 {model.sha256[:8]}…)"),
            ("corpus", corpus.source),
            ("trained on", notes.describe_training(model)),
        ),
        description=f"{corpus.reason[0].upper()}{corpus.reason[1:]}.",
        basis=f"{scores.run}, {corpus.overlap}",
        grounds=f"Model {model.name} {model.sha256[:8]} on {corpus.source}, {corpus.overlap}; over "
        f"the {count(len(scores.labels), 'label')} that both have",
        predictions=restrict_labels(trusted, scores.labels),
        trusted=trusted,
        calibration_interval=scores.shipped.calibration_interval,
        temperatures=notes.describe_model_temperature(model),
        abstention=replace(measure_abstention(trusted), own=own),
        own_words=notes.describe_model_threshold(own, scores),
        limits=notes.describe_model_limits(scores, trusted),
        corpus=corpus.source,
        model_paths={"01": path} if hash_file(path) == model.sha256 else {},
        settings=("Recipe of the model", model.recipe.strip()),
    )


def hash_file(path: Path) -> str:
    """Return a file's SHA-256, or an empty string if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def find_own_thresholds(scores: RunScores) -> dict[str, float] | None:
    """Return each fold's own threshold, or ``None`` if a fold has none."""
    fitted = {
        fold.fold: fold.calibration.min_confidence
        for fold in scores.folds
        if fold.calibration and fold.calibration.n_clips
    }
    return fitted if scores.folds and len(fitted) == len(scores.folds) else None
