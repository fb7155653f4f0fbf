"""Break scores down into confused pairs, speakers, genders and individual clips."""

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from emovox.evaluation.intervals import LEVEL, Interval
from emovox.evaluation.metrics import FloatArray
from emovox.evaluation.predictions import Predictions


@dataclass(frozen=True, slots=True)
class Share:
    """How often an event occurred, out of the number of times that it could have.

    Attributes:
        group: A speaker, a gender, or ``"all"``.
        count: Number of occurrences.
        total: Number of opportunities, at least 1.
    """

    group: str
    count: int
    total: int

    @property
    def share(self) -> float:
        """``count / total``, in [0, 1]."""
        return self.count / self.total


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """One emotion that was predicted as another.

    Attributes:
        true: The true emotion.
        predicted: The emotion predicted instead.
        overall: Tests with this confusion, out of all tests of the true emotion.
        genders: The same per gender, for genders with tests of the true emotion.
        speakers: The same per affected speaker, most frequent first.
    """

    true: str
    predicted: str
    overall: Share
    genders: tuple[Share, ...]
    speakers: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class SpeakerScore:
    """How well one speaker is recognised.

    Attributes:
        speaker: The speaker's name.
        gender: ``"male"``, ``"female"``, or ``""`` if unknown.
        tests: Number of tests.
        clips: Number of distinct clips in these tests.
        accuracy: Share of the tests that were right, in [0, 1].
        interval: Wilson interval of the accuracy, with each clip counted once.
        top_mistake: The most frequent (true, predicted, count), or ``None`` without a mistake.
    """

    speaker: str
    gender: str
    tests: int
    clips: int
    accuracy: float
    interval: Interval
    top_mistake: tuple[str, str, int] | None


@dataclass(frozen=True, slots=True, eq=False)
class ClipAnswer:
    """The prediction for one clip, right or wrong.

    Attributes:
        clip: Name of the clip.
        fold: Fold in which it was predicted.
        speaker: Name of the speaker.
        gender: ``"male"``, ``"female"``, or ``""`` if unknown.
        true: The true emotion.
        predicted: The predicted emotion.
        confidence: Probability of the predicted emotion, in [0, 1].
        scores: Probability of each class in the labels' order, float64 ``(classes,)``.
        wrong_tests: Number of wrong predictions for this clip over all tests.
        tests: Number of tests of this clip.
    """

    clip: str
    fold: str
    speaker: str
    gender: str
    true: str
    predicted: str
    confidence: float
    scores: FloatArray
    wrong_tests: int
    tests: int


def find_confused_pairs(predictions: Predictions, limit: int = 8) -> tuple[ConfusedPair, ...]:
    """Find the most frequent confusions, broken down by gender and speaker.

    Confusions that occurred once are left out if any occurred more often.

    Args:
        predictions: Predictions for the test clips.
        limit: Maximum number of pairs.

    Returns:
        The pairs in order of decreasing count, then in the labels' order.

    Examples:
        >>> find_confused_pairs(predictions)[0].true
        'sad'
    """
    true, predicted = predictions.true, predictions.predicted
    counted = _count_mistakes(predictions)
    mistakes = [entry for entry in counted if entry[2] > 1] or counted
    pairs = []
    for is_class, called, count in mistakes[:limit]:
        of_class = true == is_class
        hit = of_class & (predicted == called)
        speakers = [
            Share(name, int(hit[own].sum()), int(of_class[own].sum()))
            for name in sort_speakers(np.unique(predictions.speakers[hit]).tolist())
            for own in [predictions.speakers == name]
        ]
        genders = [
            Share(gender, int(hit[own].sum()), int(of_class[own].sum()))
            for gender in ("female", "male")
            for own in [predictions.genders == gender]
            if of_class[own].any()
        ]
        pairs.append(
            ConfusedPair(
                predictions.labels[is_class],
                predictions.labels[called],
                Share("all", count, int(of_class.sum())),
                tuple(genders),
                tuple(sorted(speakers, key=lambda entry: -entry.count)),
            )
        )
    return tuple(pairs)


def score_speakers(predictions: Predictions) -> tuple[SpeakerScore, ...]:
    """Score each speaker.

    Args:
        predictions: Predictions for the test clips.

    Returns:
        One entry per speaker, sorted by number or name.

    Examples:
        >>> score_speakers(predictions)[0].accuracy
        0.75
    """
    scores = []
    for name in sort_speakers(np.unique(predictions.speakers).tolist()):
        own = predictions.select(predictions.speakers == name)
        mistakes = _count_mistakes(own)
        labels = own.labels
        clips = int(np.unique(own.clips).size)
        accuracy = float((own.true == own.predicted).mean())
        scores.append(
            SpeakerScore(
                name,
                str(own.genders[0]),
                len(own),
                clips,
                accuracy,
                wilson_interval(accuracy, clips),
                (labels[mistakes[0][0]], labels[mistakes[0][1]], mistakes[0][2])
                if mistakes
                else None,
            )
        )
    return tuple(scores)


def find_confident_mistakes(predictions: Predictions, limit: int = 12) -> tuple[ClipAnswer, ...]:
    """Find the wrong predictions of highest confidence, each clip once.

    Args:
        predictions: Predictions for the test clips.
        limit: Maximum number of clips.

    Returns:
        The mistakes in order of decreasing confidence, then by name.

    Examples:
        >>> find_confident_mistakes(predictions)[0].confidence
        0.98
    """
    wrong = predictions.predicted != predictions.true
    chosen: dict[str, int] = {}
    for row in _rank_rows(predictions, wrong):
        chosen.setdefault(str(predictions.clips[row]), row)
    return tuple(_describe_answer(predictions, row) for row in list(chosen.values())[:limit])


def find_typical_hits(predictions: Predictions) -> tuple[ClipAnswer, ...]:
    """Find a typical right prediction of each emotion: the one of median confidence.

    Args:
        predictions: Predictions for the test clips.

    Returns:
        At most one prediction per emotion, in the labels' order; of two middle predictions, the
        more confident one.
    """
    right = predictions.predicted == predictions.true
    rows: dict[int, list[int]] = {}
    for row in _rank_rows(predictions, right):
        rows.setdefault(int(predictions.true[row]), []).append(row)
    return tuple(
        _describe_answer(predictions, rows[label][(len(rows[label]) - 1) // 2])
        for label in sorted(rows)
    )


def wilson_interval(share: float, total: int, level: float = LEVEL) -> Interval:
    """Return the Wilson score interval of a share (Wilson, 1927, JASA 22, 209-212).

    Args:
        share: The observed share, in [0, 1]; need not be a multiple of ``1 / total``.
        total: Number of independent trials, at least 1.
        level: Confidence level.

    Returns:
        The interval, within [0, 1].

    Examples:
        >>> wilson_interval(0.5, 10).low  # doctest: +ELLIPSIS
        0.2365...
    """
    z = float(norm.ppf((1 + level) / 2))
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = (
        z
        / (1 + z * z / total)
        * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    )
    return Interval(max(0.0, centre - half), min(1.0, centre + half), level)


def sort_speakers(names: list[str]) -> list[str]:
    """Sort numbered speakers by number, followed by named speakers by name."""
    return sorted(names, key=lambda name: (not name.isdecimal(), name.zfill(12), name))


def _count_mistakes(predictions: Predictions) -> list[tuple[int, int, int]]:
    """Return true class, predicted class and count of each confusion, most frequent first."""
    true, predicted = predictions.true, predictions.predicted
    wrong = true != predicted
    counts = Counter(zip(true[wrong].tolist(), predicted[wrong].tolist(), strict=True))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(is_class, called, count) for (is_class, called), count in ranked]


def _rank_rows(predictions: Predictions, wanted: npt.NDArray[np.bool_]) -> list[int]:
    """Return the wanted rows by decreasing confidence, then by clip and fold."""
    confidence = predictions.probabilities.max(axis=1)
    rows: list[int] = np.flatnonzero(wanted).tolist()
    return sorted(
        rows, key=lambda row: (-confidence[row], predictions.clips[row], predictions.folds[row])
    )


def _describe_answer(predictions: Predictions, row: int) -> ClipAnswer:
    """Return one prediction together with the other tests of its clip."""
    tests = predictions.clips == predictions.clips[row]
    predicted = predictions.predicted
    return ClipAnswer(
        str(predictions.clips[row]),
        str(predictions.folds[row]),
        str(predictions.speakers[row]),
        str(predictions.genders[row]),
        predictions.labels[predictions.true[row]],
        predictions.labels[predicted[row]],
        float(predictions.probabilities[row].max()),
        predictions.probabilities[row],
        int(((predicted != predictions.true) & tests).sum()),
        int(tests.sum()),
    )
