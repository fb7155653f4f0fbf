"""Read and validate a run's ``metrics.json`` and ``calibration.json``."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from emovox.errors import RunError
from emovox.evaluation.calibration import Calibration

Entry = TypeVar("Entry", bound=BaseModel)


class _Entry(BaseModel):
    """Part of ``metrics.json``; other keys are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ProtocolEntry(_Entry):
    """The protocol of the scores."""

    name: str
    version: int
    speaker_independent: bool
    description: str = ""


class ScoreEntry(_Entry):
    """A score in [0, 1] with its interval, if any."""

    mean: float
    low: float | None = None
    high: float | None = None


class SummaryEntry(_Entry):
    """The three main scores of the run."""

    accuracy: ScoreEntry
    uar: ScoreEntry
    macro_f1: ScoreEntry


class CalibrationEntry(_Entry):
    """Temperature and confidence threshold of a fold's model."""

    temperature: float
    min_confidence: float
    n_clips: int
    n_speakers: int


class IntervalEntry(_Entry):
    """A confidence interval."""

    low: float
    high: float


class FoldEntry(_Entry):
    """The scores of one fold."""

    fold: str
    accuracy: float
    uar: float
    macro_f1: float
    n_clips: int
    best_epoch: int | None = None
    epochs: int | None = None
    calibration: CalibrationEntry | None = None


class PooledEntry(_Entry):
    """Scores of all test clips, used to check ``predictions.csv`` against ``metrics.json``."""

    confusion: list[list[int]]


class _Scores(_Entry):
    """Scores shown in reports of both runs and model files."""

    run: str
    summary: SummaryEntry
    interval: str = ""
    metrics: PooledEntry
    versions: dict[str, Any] = {}


class LeftOutScore(_Entry):
    """UAR of a corpus left out, with its interval."""

    value: float
    interval: IntervalEntry


class LeftOutScores(_Entry):
    """Scores over one set of labels."""

    UA: LeftOutScore


class LeftOutEntry(LeftOutScores):
    """The scores of a corpus left out, over its labels and over four classes."""

    corpus: str
    labels: tuple[str, ...]
    n_clips: int
    n_speakers: int
    four: LeftOutScores | None
    calibration_error: float


class OverCorporaEntry(_Entry):
    """The scores of each corpus left out, and their means."""

    corpora: tuple[LeftOutEntry, ...]
    mean: LeftOutScores
    four: LeftOutScores | None
    calibration_error: float


class RunScores(_Scores):
    """The part of a run's ``metrics.json`` shown in a report."""

    recipe: str
    protocol: ProtocolEntry
    n_folds: int
    n_seeds: int
    folds: tuple[FoldEntry, ...] = ()
    seconds: float | None = None
    calibration_interval: IntervalEntry | None = None
    over_corpora: OverCorporaEntry | None = None


class ModelEntry(_Entry):
    """The model file that was scored."""

    file: str
    sha256: str
    name: str
    labels: tuple[str, ...]
    temperature: float
    min_confidence: float
    training_corpora: tuple[str, ...]
    training_clips: int
    encoder_training: str = ""
    licence: str
    recipe: str


class CorpusEntry(_Entry):
    """The test corpus, and whether the model may have been trained on it."""

    source: str
    overlap: str
    reason: str
    is_unseen: bool
    speaker_independent: bool | None = None
    speakers_known: bool


class UnusableEntry(_Entry):
    """A clip without a prediction; the reason may contain a path on the user's machine."""

    clip: str
    reason: str


class ShippedEntry(_Entry):
    """The model with all its labels, as shipped."""

    calibration_interval: IntervalEntry


class ModelScores(_Scores):
    """The part of a model evaluation's ``metrics.json`` shown in a report."""

    model: ModelEntry
    corpus: CorpusEntry
    labels: tuple[str, ...]
    shipped: ShippedEntry
    no_speech: tuple[str, ...] = ()
    unusable: tuple[UnusableEntry, ...] = ()
    other_labels: dict[str, int] = {}
    notes: tuple[str, ...] = ()


def read_scores(path: Path) -> RunScores:
    """Read a run's ``metrics.json``.

    Args:
        path: Path of the file.

    Returns:
        The part shown in a report.

    Raises:
        RunError: The file is missing, is not JSON, or lacks an entry; the message names it.
    """
    expected = (
        "a finished run's metrics.json: check the path, or finish the run with "
        "'emovox train --resume'"
    )
    return read_entry(path, RunScores, expected=expected, remedy="evaluate the run again")


def read_model_scores(path: Path) -> ModelScores:
    """Read the ``metrics.json`` of a model file's evaluation.

    Args:
        path: Path of the file.

    Returns:
        The part shown in a report.

    Raises:
        RunError: The file is missing, is not JSON, or lacks an entry; the message names it.
    """
    expected = "the metrics.json of 'emovox evaluate MODEL --corpus': check the path"
    return read_entry(path, ModelScores, expected=expected, remedy="evaluate the model again")


def read_calibration(path: Path) -> Calibration:
    """Read a fold's ``calibration.json``.

    Args:
        path: Path of the file.

    Returns:
        The fold's temperature and threshold.

    Raises:
        RunError: The file is missing, is not JSON, or lacks an entry; the message names it.
    """
    expected = "the calibration of a run: train it again"
    entry = read_entry(path, CalibrationEntry, expected=expected, remedy="train the run again")
    return Calibration(**entry.model_dump())


def read_entry(path: Path, model: type[Entry], *, expected: str, remedy: str) -> Entry:
    """Read and validate a JSON file of a run."""
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}); expected {expected}") from None
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in detail["loc"]) or "the file"
        raise RunError(f"{path}: {key}: {detail['msg']}; {remedy}") from None
