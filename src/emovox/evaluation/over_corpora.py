"""Scores of a leave-one-corpus-out run: each corpus by itself, and their mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emovox.corpora.clips import describe_speakers
from emovox.evaluation.metrics import compute_metrics
from emovox.evaluation.predictions import Predictions, restrict_labels
from emovox.evaluation.summary import ResampleBy, Score, Summary, align_seeds, summarize_seeds
from emovox.labels import order_labels
from emovox.wording import count

FOUR_CLASSES = ("neutral", "happy", "sad", "angry")
"""Emotions that most corpora have, and that most published cross-corpus scores are over."""


@dataclass(frozen=True, slots=True)
class CorpusScores:
    """Scores of the models that were trained without a corpus, on that corpus.

    Attributes:
        corpus: Name of the corpus left out.
        labels: Labels that it shares with the training corpora.
        summary: Scores over these labels.
        four_labels: Those of ``FOUR_CLASSES`` among them.
        four: Scores over these labels; ``None`` if there are fewer than two.
        calibration_error: Expected calibration error over ``labels``, mean over the seeds.
    """

    corpus: str
    labels: tuple[str, ...]
    summary: Summary
    four_labels: tuple[str, ...]
    four: Summary | None
    calibration_error: float

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as JSON-ready types."""
        return {
            "corpus": self.corpus,
            "labels": list(self.labels),
            **self.summary.to_dict(),
            "four_labels": list(self.four_labels),
            "four": self.four.to_dict() if self.four else None,
            "calibration_error": self.calibration_error,
        }


@dataclass(frozen=True, slots=True)
class ScoresOverCorpora:
    """Scores of each corpus left out, and their mean.

    Attributes:
        corpora: One entry per corpus, sorted by name.
        mean: Mean scores over the corpora.
        four: Mean scores over four classes, of the corpora with two or more of them; ``None`` if
            there are none.
        n_seeds: Number of trainings that the scores are averaged over.
    """

    corpora: tuple[CorpusScores, ...]
    mean: Summary
    four: Summary | None
    n_seeds: int

    @property
    def calibration_error(self) -> float:
        """Mean of the corpora's expected calibration errors, in [0, 1]."""
        return float(np.mean([entry.calibration_error for entry in self.corpora]))

    def describe(self) -> list[str]:
        """Return a printable table, one row per corpus left out and one for their mean."""
        table = [("left out", "clips", "speakers", "labels", "UAR", "four classes", "ECE")]
        for entry in self.corpora:
            labels = str(len(entry.labels))
            error = entry.calibration_error
            table.append((entry.corpus, *_show_row(entry.summary, labels, entry.four, error)))
        mean = _show_row(self.mean, "", self.four, self.calibration_error)
        table.append((f"mean of {len(self.corpora)}", *mean))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        # Names and scores are flush left, numbers flush right.
        sides = "<>>><<>"
        lines = [
            " ".join(
                f"{text:{side}{width}}"
                for text, side, width in zip(row, sides, widths, strict=True)
            )
            for row in table
        ]
        seeds = f" and {self.n_seeds} seeds" if self.n_seeds > 1 else ""
        fewer = "".join(
            f"; {entry.corpus} has {', '.join(entry.four_labels) or 'none'}"
            for entry in self.corpora
            if len(entry.four_labels) < len(FOUR_CLASSES)
        )
        return [
            *lines,
            f"UAR in percent, with 95% intervals over speakers within each corpus{seeds}; ECE: "
            "expected calibration error",
            f"four classes: {', '.join(FOUR_CLASSES)}{fewer}",
        ]

    def describe_basis(self) -> str:
        """Return what the scores rest on: seeds, clips, speakers and corpora."""
        speakers = describe_speakers(self.mean.n_speakers)
        return (
            f"{count(self.n_seeds, 'seed')}, {count(self.mean.n_clips, 'clip')} of {speakers} in "
            f"{len(self.corpora)} corpora"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as JSON-ready types."""
        return {
            "n_seeds": self.n_seeds,
            "corpora": [entry.to_dict() for entry in self.corpora],
            "mean": self.mean.to_dict(),
            "four": self.four.to_dict() if self.four else None,
            "calibration_error": self.calibration_error,
        }


def score_over_corpora(
    seeds: Sequence[Predictions], generator: np.random.Generator
) -> ScoresOverCorpora:
    """Score each corpus left out over its labels and over four classes, and average.

    The intervals of a corpus are over its speakers, as everywhere. Those of the mean take the
    corpora as fixed. With several seeds, all of them cover other seeds as well.

    Args:
        seeds: Predictions of each training, with the corpus left out as the fold, and with
            probability 0 for labels that the fold is not scored over.
        generator: Source of randomness of the bootstrap.

    Returns:
        The scores.

    Raises:
        ValueError: The seeds did not test the same clips.
    """
    seeds = align_seeds(seeds)
    several = len(seeds) > 1
    fours = [choose_four_classes(part) for part in seeds]
    four_classes = [part for part in fours if part is not None]

    def summarize(parts: Sequence[Predictions], corpus: str) -> Summary | None:
        rows = [part.folds == corpus for part in parts]
        if not parts or not rows[0].any():
            return None
        chosen = [part.select(row) for part, row in zip(parts, rows, strict=True)]
        by: ResampleBy = "speakers" if np.unique(chosen[0].speakers).size > 1 else "clips"
        return summarize_seeds(chosen, by, generator, resample_seeds=several)

    corpora = []
    for corpus in np.unique(seeds[0].folds).tolist():
        chosen = [part.select(part.folds == corpus) for part in seeds]
        labels = list_labels(chosen[0])
        summary = summarize(seeds, corpus)
        assert summary is not None  # noqa: S101 - the corpus is one of the folds
        errors = [
            compute_metrics(part.true, part.probabilities, part.labels).expected_calibration_error
            for part in chosen
        ]
        corpora.append(
            CorpusScores(
                corpus,
                labels,
                summary,
                tuple(label for label in FOUR_CLASSES if label in labels),
                summarize(four_classes, corpus),
                float(np.mean(errors)),
            )
        )
    mean = summarize_seeds(seeds, "corpora", generator, resample_seeds=several)
    four = (
        summarize_seeds(four_classes, "corpora", generator, resample_seeds=several)
        if four_classes
        else None
    )
    return ScoresOverCorpora(tuple(corpora), mean, four, len(seeds))


def list_labels(predictions: Predictions) -> tuple[str, ...]:
    """Return the labels that predictions have test clips of."""
    return order_labels(predictions.labels[i] for i in np.unique(predictions.true).tolist())


def choose_four_classes(predictions: Predictions) -> Predictions | None:
    """Restrict predictions to ``FOUR_CLASSES``, and to the clips of these.

    Args:
        predictions: Predictions over all labels, with the corpus left out as the fold.

    Returns:
        The predictions for the corpora that have two or more of the four; ``None`` if none has.

    Examples:
        >>> rows = {"clips": ["a", "b", "c"], "folds": ["x"] * 3, "speakers": ["1"] * 3}
        >>> found = Predictions(
        ...     **rows, genders=[""] * 3, true=[0, 1, 2], labels=["happy", "sad", "disgust"],
        ...     probabilities=[[0.2, 0.2, 0.6], [0.1, 0.3, 0.6], [0.0, 0.0, 1.0]],
        ... )
        >>> choose_four_classes(found).probabilities.round(6).tolist()
        [[0.5, 0.5], [0.25, 0.75]]
    """
    is_one = np.isin(np.array(predictions.labels)[predictions.true], FOUR_CLASSES)
    kept = np.zeros(len(predictions), dtype=np.bool_)
    for corpus in np.unique(predictions.folds):
        rows = is_one & (predictions.folds == corpus)
        kept |= rows & (np.unique(predictions.true[rows]).size > 1)
    if not kept.any():
        return None
    labels = tuple(label for label in predictions.labels if label in FOUR_CLASSES)
    return restrict_labels(predictions.select(kept), labels)


def _show_row(
    summary: Summary, labels: str, four: Summary | None, error: float
) -> tuple[str, str, str, str, str, str]:
    """Return the cells of a row of the table after its name."""
    n_speakers = f"{summary.n_speakers:,}" if summary.n_speakers else "?"
    scores = _show(summary.ua), _show(four.ua if four else None)
    return f"{summary.n_clips:,}", n_speakers, labels, *scores, f"{error:.3f}"


def _show(score: Score | None) -> str:
    """Return a score with its interval in percent: ``66.7 (51.2 to 80.1)``."""
    if score is None:
        return "-"
    low, high = 100 * score.interval.low, 100 * score.interval.high
    return f"{100 * score.value:.1f} ({low:.1f} to {high:.1f})"
