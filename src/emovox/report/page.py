"""The report of a run: one HTML file that opens offline and says what its scores rest on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from emovox.corpora.clips import Clip
from emovox.corpora.cross import name_tested
from emovox.corpora.registry import CORPORA
from emovox.errors import RunError
from emovox.evaluation import breakdown
from emovox.evaluation.abstention import Abstention, find_risk_curve, measure_abstention
from emovox.evaluation.calibration import TARGET_ACCURACY
from emovox.evaluation.evaluate import BOOTSTRAP_SEED
from emovox.evaluation.fairness import Fairness, compare_genders
from emovox.evaluation.metrics import Metrics, compute_metrics
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.stress_scores import StressRow
from emovox.files import write_text
from emovox.pages.environment import make_page_environment
from emovox.recipes.recipe import load_recipe
from emovox.report import notes, plots
from emovox.report.clips import ClipCard, FoldModels, collect_cards
from emovox.report.stress_plot import plot_noise_curves
from emovox.runs.folder import (
    HISTORY_NAME,
    METRICS_NAME,
    PREDICTIONS_NAME,
    RECIPE_NAME,
    REPORT_NAME,
    STRESS_NAME,
)
from emovox.runs.history import read_history
from emovox.runs.predictions import read_predictions
from emovox.runs.scores import RunScores, ScoreEntry, read_scores
from emovox.runs.stress import read_stress
from emovox.wording import count, name_speaker_rule

N_MISTAKE_MAPS = 6


@dataclass(frozen=True, slots=True)
class ScoreCard:
    """One of the scores at the top of the page; all values in [0, 1]."""

    short: str
    name: str
    score: ScoreEntry
    most_frequent: float


@dataclass(frozen=True, slots=True, eq=False)
class ReportPage:
    """Everything that the page shows."""

    scores: RunScores
    cards: tuple[ScoreCard, ...]
    n_tests: int
    n_clips: int
    n_speakers: int
    findings: list[str]
    limits: list[str]
    metrics: Metrics
    labels: tuple[str, ...]
    figures: dict[str, Markup]
    temperatures: str
    abstention: Abstention
    target: float
    pairs: tuple[breakdown.ConfusedPair, ...]
    speakers: tuple[breakdown.SpeakerScore, ...]
    fairness: Fairness | None
    stress: tuple[StressRow, ...]
    mistakes: tuple[ClipCard, ...]
    hits: tuple[ClipCard, ...]
    n_wrong: int
    with_recordings: bool
    recipe_toml: str
    versions: tuple[tuple[str, str], ...]
    corpus: str
    licence: str
    citation: str

    @property
    def unit(self) -> str:
        """What is counted: clips, or tests where a clip was tested more than once."""
        return "tests" if self.n_tests > self.n_clips else "clips"

    @property
    def speaker_words(self) -> str:
        """The words that have to stand beside each score."""
        return name_speaker_rule(self.scores.protocol.speaker_independent)


def write_report(run_folder: Path, clips: Mapping[str, Clip] | None) -> Path:
    """Write ``report.html`` of a finished run from the files in its folder.

    The page needs no network and no script. The same run and recordings give the same bytes.

    Args:
        run_folder: Holds ``recipe.toml``, ``history.csv``, ``predictions.csv``, ``metrics.json``.
        clips: Where the recordings lie, by name, for the players and spectrograms of the worst
            mistakes; ``None`` leaves them out, and the page says so.

    Returns:
        Path of the report, written whole or not at all.

    Raises:
        RunError: A file of the run is missing or damaged, or two of them are not of one run.
        RecipeError: The recipe cannot be read.

    Example:
        >>> write_report(Path("runs/vanilla"), None)  # doctest: +SKIP
        PosixPath('runs/vanilla/report.html')
    """
    page = gather_page(run_folder, clips)
    path = run_folder / REPORT_NAME
    write_text(path, render_page(page))
    return path


def gather_page(run_folder: Path, clips: Mapping[str, Clip] | None) -> ReportPage:
    """Read a run and work out what its page shows.

    Args:
        run_folder: The finished run.
        clips: Where the recordings lie, by name, or ``None``.

    Returns:
        The page's content.

    Raises:
        RunError: A file is missing or damaged, or two of them are not of one run.
        RecipeError: The recipe cannot be read.

    Example:
        >>> gather_page(Path("runs/vanilla"), None).n_clips  # doctest: +SKIP
        36
    """
    if not run_folder.is_dir():
        raise RunError(f"{run_folder}: no such run folder; expected one that 'emovox train' made")
    scores = read_scores(run_folder / METRICS_NAME)
    predictions = read_predictions(run_folder / PREDICTIONS_NAME)
    metrics = compute_metrics(predictions.true, predictions.probabilities, predictions.labels)
    if metrics.confusion.tolist() != scores.metrics.confusion:
        raise RunError(
            f"{run_folder}: predictions.csv and metrics.json count different confusions; expected "
            "both from one evaluation: evaluate the run again"
        )
    recipe = load_recipe(run_folder / RECIPE_NAME)
    speakers = breakdown.score_speakers(predictions)
    pairs = breakdown.find_confused_pairs(predictions)
    corpus = name_tested(recipe.data.protocol, recipe.data.corpora)
    tested = CORPORA.get(corpus)
    abstention = measure_abstention(predictions, _find_own_thresholds(scores))
    baseline = notes.score_most_frequent(metrics)
    labels = predictions.labels
    models = FoldModels(run_folder, len(scores.folds))
    hits = breakdown.find_confident_hits(predictions) if clips is not None else ()
    hit_cards = collect_cards(hits, labels, clips, models, len(hits))
    summary = scores.summary
    stress_path = run_folder / STRESS_NAME
    stress = read_stress(stress_path) if stress_path.exists() else ()
    return ReportPage(
        scores=scores,
        cards=(
            ScoreCard("WA", "accuracy", summary.accuracy, baseline[0]),
            ScoreCard("UA", "mean recall over emotions", summary.uar, baseline[1]),
            ScoreCard("F1", "macro F1", summary.macro_f1, baseline[2]),
        ),
        n_tests=len(predictions),
        n_clips=int(np.unique(predictions.clips).size),
        n_speakers=len(speakers),
        findings=notes.describe_findings(scores, metrics, pairs),
        limits=notes.describe_limits(scores, predictions, corpus),
        metrics=metrics,
        labels=labels,
        figures=_draw_figures(
            run_folder, scores, predictions, metrics, abstention, speakers, stress
        ),
        temperatures=notes.describe_temperatures(scores.folds),
        abstention=abstention,
        target=TARGET_ACCURACY,
        pairs=pairs,
        speakers=speakers,
        fairness=compare_genders(predictions, np.random.default_rng(BOOTSTRAP_SEED)),
        stress=stress,
        mistakes=collect_cards(
            breakdown.find_confident_mistakes(predictions), labels, clips, models, N_MISTAKE_MAPS
        ),
        hits=tuple(card for card in hit_cards if card.map is not None),
        n_wrong=int(np.count_nonzero(predictions.true != predictions.predicted)),
        with_recordings=clips is not None,
        recipe_toml=(run_folder / RECIPE_NAME).read_text(encoding="utf-8").strip(),
        versions=_flatten_versions(scores.versions),
        corpus=tested.title if tested else corpus,
        licence=tested.licence if tested else "",
        citation=tested.citation if tested else "",
    )


def render_page(page: ReportPage) -> str:
    """Return the page as HTML; every name in it is escaped.

    Args:
        page: Its content.

    Returns:
        A whole HTML document.

    Example:
        >>> render_page(gather_page(Path("runs/vanilla"), None))[:15]  # doctest: +SKIP
        '<!doctype html>'
    """
    environment = make_page_environment("emovox.report")
    environment.filters["percent"] = format_percent
    environment.filters["counted"] = count
    return environment.get_template("report.html.j2").render(page=page)


def format_percent(share: float, decimals: int = 1) -> str:
    """Return a share in [0, 1] as text, such as ``"66.7%"``."""
    return f"{100 * share:.{decimals}f}%"


def _draw_figures(
    run_folder: Path,
    scores: RunScores,
    predictions: Predictions,
    metrics: Metrics,
    abstention: Abstention,
    speakers: Sequence[breakdown.SpeakerScore],
    stress: Sequence[StressRow],
) -> dict[str, Markup]:
    """Draw what the run has data for; matplotlib escapes the names in it."""
    histories = read_history(run_folder / HISTORY_NAME)
    best = {fold.fold: fold.best_epoch for fold in scores.folds if fold.best_epoch is not None}
    figures = {
        "calibration": plots.plot_calibration(metrics.calibration_bins),
        "abstention": plots.plot_abstention(*find_risk_curve(predictions), abstention.own),
        "speakers": plots.plot_speakers(speakers),
    }
    if histories:
        figures["loss"] = plots.plot_curves(histories, "loss", best)
        figures["accuracy"] = plots.plot_curves(histories, "accuracy", best)
    if len(scores.folds) > 1:
        figures["folds"] = plots.plot_folds(scores.folds, scores)
    noise_curves = plot_noise_curves(stress)
    if noise_curves:
        figures["stress"] = noise_curves
    return {name: Markup(svg) for name, svg in figures.items()}  # noqa: S704


def _find_own_thresholds(scores: RunScores) -> dict[str, float] | None:
    """Return each fold's own threshold, or ``None`` where one has none."""
    fitted = {
        fold.fold: fold.calibration.min_confidence
        for fold in scores.folds
        if fold.calibration and fold.calibration.n_clips
    }
    return fitted if scores.folds and len(fitted) == len(scores.folds) else None


def _flatten_versions(versions: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return names and values, the keys of nested entries joined by spaces."""
    rows: list[tuple[str, str]] = []
    for name, value in versions.items():
        if isinstance(value, Mapping):
            rows += [(f"{name} {below}", text) for below, text in _flatten_versions(value)]
        else:
            rows.append((name, str(value)))
    return tuple(rows)
