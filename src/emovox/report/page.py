"""The report: one HTML file that opens offline and names the basis of its scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from emovox.corpora.clips import Clip
from emovox.corpora.registry import CORPORA
from emovox.errors import RunError
from emovox.evaluation import breakdown
from emovox.evaluation.abstention import find_risk_curve
from emovox.evaluation.calibration import TARGET_ACCURACY
from emovox.evaluation.evaluate import BOOTSTRAP_SEED
from emovox.evaluation.fairness import Fairness, compare_genders
from emovox.evaluation.metrics import Metrics, compute_metrics
from emovox.evaluation.predictions import Predictions
from emovox.files import write_text
from emovox.pages.environment import make_page_environment
from emovox.report import notes, plots
from emovox.report.clips import ClipCard, FoldModels, collect_cards
from emovox.report.sources import ReportSource, read_source
from emovox.report.stress_plot import plot_noise_curves
from emovox.runs.folder import REPORT_NAME
from emovox.runs.scores import ScoreEntry
from emovox.wording import count

N_MISTAKE_MAPS = 6


@dataclass(frozen=True, slots=True)
class ScoreCard:
    """One of the scores at the top of the page; all values in [0, 1]."""

    short: str
    name: str
    score: ScoreEntry
    baseline: float


@dataclass(frozen=True, slots=True, eq=False)
class ReportPage:
    """Everything that the page shows."""

    source: ReportSource
    cards: tuple[ScoreCard, ...]
    n_tests: int
    n_clips: int
    n_speakers: int
    findings: list[str]
    metrics: Metrics
    trust: Metrics
    labels: tuple[str, ...]
    figures: dict[str, Markup]
    target: float
    pairs: tuple[breakdown.ConfusedPair, ...]
    speakers: tuple[breakdown.SpeakerScore, ...]
    fairness: Fairness | None
    mistakes: tuple[ClipCard, ...]
    hits: tuple[ClipCard, ...]
    n_wrong: int
    with_recordings: bool
    lacks_maps: bool
    versions: tuple[tuple[str, str], ...]
    corpus: str
    licence: str
    citation: str

    @property
    def unit(self) -> str:
        """Unit of counts: ``clips``, or ``tests`` if a clip was tested more than once."""
        return "tests" if self.n_tests > self.n_clips else "clips"


def write_report(folder: Path, clips: Mapping[str, Clip] | None, *, maps: bool = False) -> Path:
    """Write ``report.html`` of a finished run, or of a model file's evaluation, from its files.

    The page needs no network and no scripts. The same files and recordings give the same bytes.

    Args:
        folder: Folder with ``predictions.csv`` and ``metrics.json``, and for a run also
            ``recipe.toml`` and ``history.csv``.
        clips: Clips with the paths of the recordings, keyed by name, for players and spectrograms
            of the most confident mistakes; ``None`` leaves these out, with a note on the page.
        maps: Also draw which regions drove the predictions; this runs the model a thousand times.

    Returns:
        Path of the report, written atomically.

    Raises:
        RunError: A file is missing or damaged, or the files are not of one evaluation.
        RecipeError: The recipe cannot be read.
    """
    page = gather_page(folder, clips, maps=maps)
    path = folder / REPORT_NAME
    write_text(path, render_page(page))
    return path


def gather_page(
    folder: Path, clips: Mapping[str, Clip] | None, *, maps: bool = False
) -> ReportPage:
    """Read a run, or a model file's evaluation, and compute the content of its page.

    Args:
        folder: Folder of the finished run or evaluation.
        clips: Clips with the paths of the recordings, keyed by name, or ``None``.
        maps: Also draw which regions drove the predictions.

    Returns:
        The content of the page.

    Raises:
        RunError: A file is missing or damaged, or the files are not of one evaluation.
        RecipeError: The recipe cannot be read.
    """
    source = read_source(folder)
    predictions, labels = source.predictions, source.predictions.labels
    metrics, trust = score_predictions(predictions), score_predictions(source.trusted)
    if metrics.confusion.tolist() != source.scores.metrics.confusion:
        raise RunError(
            f"{folder}: predictions.csv and metrics.json have different confusions; expected "
            "both from one evaluation: evaluate it again"
        )
    pairs = breakdown.find_confused_pairs(predictions)
    models = FoldModels(source.model_paths if maps else {})
    n_maps = N_MISTAKE_MAPS if maps else 0
    mistakes = breakdown.find_confident_mistakes(predictions)
    mistake_cards = collect_cards(mistakes, labels, clips, models, n_maps)
    hits = breakdown.find_typical_hits(predictions) if maps and clips is not None else ()
    hit_cards = collect_cards(hits, labels, clips, models, len(hits))
    shown = [*mistake_cards, *hit_cards]
    summary = source.scores.summary
    names = source.corpus.split(", ")
    known = [CORPORA[name] for name in names if name in CORPORA]
    accuracy, uar, f1 = notes.score_majority_baseline(metrics)
    return ReportPage(
        source=source,
        cards=(
            ScoreCard("WA", "accuracy", summary.accuracy, accuracy),
            ScoreCard("UA", "mean recall over emotions", summary.uar, uar),
            ScoreCard("F1", "macro F1", summary.macro_f1, f1),
        ),
        n_tests=len(predictions),
        n_clips=int(np.unique(predictions.clips).size),
        n_speakers=int(np.unique(predictions.speakers).size),
        findings=[
            *notes.describe_findings(summary.uar, metrics, pairs),
            notes.describe_confidence(trust),
        ],
        metrics=metrics,
        trust=trust,
        labels=labels,
        figures=_draw_figures(source, trust),
        target=TARGET_ACCURACY,
        pairs=pairs,
        speakers=breakdown.score_speakers(predictions),
        fairness=compare_genders(predictions, np.random.default_rng(BOOTSTRAP_SEED)),
        mistakes=mistake_cards,
        hits=tuple(card for card in hit_cards if card.map is not None),
        n_wrong=int(np.count_nonzero(predictions.true != predictions.predicted)),
        with_recordings=clips is not None,
        lacks_maps=maps and not any(card.map for card in shown),
        versions=_flatten_versions(source.scores.versions),
        corpus=", ".join(CORPORA[name].title if name in CORPORA else name for name in names),
        licence="; ".join(dict.fromkeys(entry.licence for entry in known)),
        citation="; ".join(dict.fromkeys(entry.citation for entry in known)),
    )


def score_predictions(predictions: Predictions) -> Metrics:
    """Return all metrics of predictions."""
    return compute_metrics(predictions.true, predictions.probabilities, predictions.labels)


def render_page(page: ReportPage) -> str:
    """Return the page as HTML, with all values escaped.

    Args:
        page: The content of the page.

    Returns:
        A complete HTML document.
    """
    environment = make_page_environment("emovox.report")
    environment.filters["percent"] = format_percent
    environment.filters["counted"] = count
    return environment.get_template("report.html.j2").render(page=page)


def format_percent(share: float, decimals: int = 1) -> str:
    """Return a share in [0, 1] as text, such as ``"66.7%"``."""
    return f"{100 * share:.{decimals}f}%"


def _draw_figures(source: ReportSource, trust: Metrics) -> dict[str, Markup]:
    """Draw the figures that there are data for; matplotlib escapes their text."""
    own = source.abstention.own
    speakers = breakdown.score_speakers(source.predictions)
    figures = {
        "calibration": plots.plot_calibration(trust.calibration_bins),
        "abstention": plots.plot_abstention(*find_risk_curve(source.trusted), own),
        "speakers": plots.plot_speakers(speakers),
    }
    run = source.run
    if run is not None and source.histories:
        best = {fold.fold: fold.best_epoch for fold in run.folds if fold.best_epoch is not None}
        figures["loss"] = plots.plot_curves(source.histories, "loss", best)
        figures["accuracy"] = plots.plot_curves(source.histories, "accuracy", best)
    if run is not None and len(run.folds) > 1:
        figures["folds"] = plots.plot_folds(run.folds, run)
    noise_curves = plot_noise_curves(source.stress)
    if noise_curves:
        figures["stress"] = noise_curves
    return {name: Markup(svg) for name, svg in figures.items()}  # noqa: S704


def _flatten_versions(versions: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return names and values, with the keys of nested entries joined by spaces."""
    rows: list[tuple[str, str]] = []
    for name, value in versions.items():
        if isinstance(value, Mapping):
            rows += [(f"{name} {below}", text) for below, text in _flatten_versions(value)]
        else:
            rows.append((name, str(value)))
    return tuple(rows)
