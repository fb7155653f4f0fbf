"""The clips in a report: player, scores, and a map of the regions that drove the prediction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from emovox.audio.load import load_audio
from emovox.corpora.clips import Clip
from emovox.errors import AudioError, ModelFileError
from emovox.evaluation.breakdown import ClipAnswer
from emovox.explain.plot import plot_explanation
from emovox.explain.regions import Explanation, explain_waveform
from emovox.pages.media import ClipMedia, make_clip_media
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.windows import WINDOW_S
from emovox.wording import count

MAP_TIMES = 10
MAP_BANDS = 6
"""A coarser grid than that of ``emovox explain``, to draw a page of 14 maps within seconds."""

MIN_SHOWN = 0.05
"""If no region changes the probability by 5 points, no map is drawn."""

_BARS = 4


@dataclass(frozen=True, slots=True)
class ClipMap:
    """Explanation of a prediction; ``figure`` is ``None`` if no single region is decisive."""

    figure: Markup | None
    words: str


@dataclass(frozen=True, slots=True)
class ClipCard:
    """A prediction with its recording; ``problem`` is the reason for a missing recording."""

    answer: ClipAnswer
    bars: tuple[tuple[str, float], ...]
    clip: Clip | None
    media: ClipMedia | None
    map: ClipMap | None
    problem: str


class FoldModels:
    """The models that made a page's predictions, loaded on first use.

    Args:
        paths: Path of each fold's model file, keyed by fold.
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self.paths = paths
        self.opened: dict[str, Recognizer | None] = {}

    def find(self, fold: str) -> Recognizer | None:
        """Return a fold's model, or ``None`` if it is missing or of another format."""
        if fold not in self.opened:
            try:
                self.opened[fold] = Recognizer.load(self.paths[fold], vad=False)
            except (KeyError, ModelFileError):
                # A report of the scores does not require the models.
                self.opened[fold] = None
        return self.opened[fold]


def collect_cards(
    answers: Sequence[ClipAnswer],
    labels: Sequence[str],
    clips: Mapping[str, Clip] | None,
    models: FoldModels,
    n_maps: int,
) -> tuple[ClipCard, ...]:
    """Return a card for each prediction, with its recording if available.

    Args:
        answers: Predictions to show.
        labels: Labels of the scores.
        clips: Clips with the paths of the recordings, keyed by name, or ``None``.
        models: Models used for the maps.
        n_maps: Number of cards with a map.

    Returns:
        The cards, in the order of the predictions.
    """
    cards = []
    for number, answer in enumerate(answers):
        clip = None if clips is None else clips.get(answer.clip)
        media, drawn, problem = None, None, ""
        if clip is not None:
            try:
                media = make_clip_media(clip.path)
                drawn = draw_map(answer, clip, models) if number < n_maps else None
            except AudioError:
                # The error message contains a local path, which a shared page should not reveal.
                problem = "The recording cannot be read."
        elif clips is not None:
            problem = "The recording was not found."
        scores = zip(labels, answer.scores.tolist(), strict=True)
        ranked = sorted(scores, key=lambda bar: -bar[1])
        bars = [bar for i, bar in enumerate(ranked) if i < _BARS or bar[0] == answer.true]
        cards.append(ClipCard(answer, tuple(bars), clip, media, drawn, problem))
    return tuple(cards)


def draw_map(answer: ClipAnswer, clip: Clip, models: FoldModels) -> ClipMap | None:
    """Draw the regions that drove a prediction.

    Args:
        answer: The prediction.
        clip: The recording.
        models: Models of the folds.

    Returns:
        The map, or ``None`` if the model is missing or the recording is longer than its window.

    Raises:
        AudioError: The recording cannot be read.
    """
    recognizer = models.find(answer.fold)
    if recognizer is None:
        return None
    waveform = load_audio(clip.path, recognizer.info.sample_rate_hz)
    if waveform.duration_s > WINDOW_S:
        return None
    explanation = explain_waveform(
        recognizer, waveform, emotion=answer.predicted, n_times=MAP_TIMES, n_bands=MAP_BANDS
    )
    largest = find_largest_change(explanation)
    if largest < MIN_SHOWN:
        points = count(round(100 * largest), "point")
        return ClipMap(
            None, f"No single region is decisive: each changes the probability by at most {points}."
        )
    strongest = explanation.find_regions(1) or explanation.find_stretches(1)
    return ClipMap(
        Markup(plot_explanation(explanation, waveform, compact=True)),  # noqa: S704
        f"Strongest region: {strongest[0]}",
    )


def find_largest_change(explanation: Explanation) -> float:
    """Return the largest change by a cell or a stretch of time, as shown in a map."""
    return max(float(np.abs(explanation.drops).max()), float(np.abs(explanation.time_drops).max()))
