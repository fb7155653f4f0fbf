"""Test clips with another take in training: how many there are, and how they inflate scores."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emovox.corpora.clips import Clip
from emovox.corpora.folds import Protocol
from emovox.evaluation.predictions import Predictions


@dataclass(frozen=True, slots=True)
class RepeatedTakes:
    """Accuracy with and without another take of the clip among training and validation clips.

    Attributes:
        repeated: Number of tests with another take in training or validation.
        tests: Total number of tests.
        accuracy_with: Accuracy on tests with another take, in [0, 1].
        accuracy_without: Accuracy on the other tests; ``None`` if there are none.
    """

    repeated: int
    tests: int
    accuracy_with: float
    accuracy_without: float | None

    def describe(self) -> str:
        """Return a printable line."""
        without = (
            "" if self.accuracy_without is None else f", {100 * self.accuracy_without:.1f} without"
        )
        return (
            f"{self.repeated:,} of {self.tests:,} tests are of a clip whose other take (same "
            "speaker, sentence, emotion and intensity) was in training or validation: WA "
            f"{100 * self.accuracy_with:.1f} with it{without}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the entries as JSON-ready types, keyed by attribute."""
        return asdict(self)


def score_repeated_takes(protocol: Protocol, predictions: Predictions) -> RepeatedTakes | None:
    """Score test clips with another take in training separately from the rest.

    Args:
        protocol: Protocol with the training clips of each fold.
        predictions: Predictions for the protocol's test clips.

    Returns:
        The scores; ``None`` if no clip has another take (as in every speaker-independent
        protocol), or the corpus does not name the sentences spoken.
    """
    repeated = find_repeated_takes(protocol, predictions)
    if not repeated.any():
        return None
    correct = predictions.predicted == predictions.true
    return RepeatedTakes(
        repeated=int(repeated.sum()),
        tests=len(predictions),
        accuracy_with=float(correct[repeated].mean()),
        accuracy_without=None if repeated.all() else float(correct[~repeated].mean()),
    )


def find_repeated_takes(protocol: Protocol, predictions: Predictions) -> npt.NDArray[np.bool_]:
    """Find the tests of a clip with another take among the training or validation clips.

    Args:
        protocol: Protocol with the training clips of each fold.
        predictions: Predictions for the protocol's test clips.

    Returns:
        bool ``(clips,)``.
    """
    repeated: set[tuple[str, str]] = set()
    for fold in protocol.folds:
        known = {_identify_take(clip) for clip in (*fold.train, *fold.validation)}
        tested = (clip for clip in fold.test if clip.sentence is not None)
        repeated |= {(fold.name, clip.name) for clip in tested if _identify_take(clip) in known}
    names = zip(predictions.folds.tolist(), predictions.clips.tolist(), strict=True)
    return np.array([name in repeated for name in names])


def _identify_take(clip: Clip) -> tuple[str | None, ...]:
    """Return the attributes that two takes of one utterance share."""
    return clip.corpus, clip.speaker, clip.sentence, clip.emotion, clip.intensity
