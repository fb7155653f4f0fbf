"""What is done with the recordings of an archive, and what must not change between its parts."""

import hashlib
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from emovox import __version__
from emovox.audio.channels import EACH, MIX, parse_channel
from emovox.audio.limits import MAX_DURATION_S
from emovox.errors import EmovoxError, ModelFileError
from emovox.recognition.model_file import ModelInfo, open_model_bytes
from emovox.recognition.named_models import DEFAULT_MODEL, check_named_model, find_model
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.timeline import MAX_TIMELINE_S
from emovox.recognition.voice_activity import SpeechDetector

FORMAT_VERSION = 1
"""Of the rows and of the folder around them."""


class What(StrEnum):
    """What is computed for each recording."""

    PREDICT = "predict"
    TIMELINE = "timeline"
    EMBED = "embed"


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """How the recordings of an archive are processed.

    Attributes:
        what: ``"predict"``: a row per recording; ``"timeline"``: one per segment; ``"embed"``: an
            embedding per recording.
        model: A ``model.onnx``, or the name of a model of this release; ``None``: the bundled one.
        min_confidence: Confidence below which a prediction is "uncertain"; ``None``: the model's.
        vad: Whether speech is detected first.
        channel: ``mix``, ``left``, ``right``, a number from 1, or ``each``.
        track: Number of the audio track, from 1; ``None``: as ``Recognizer.predict`` chooses.
        max_duration_s: Maximum duration of a recording in seconds; ``None``: 300, and a day for
            timelines.
    """

    what: str = What.PREDICT
    model: str | Path | None = None
    min_confidence: float | None = None
    vad: bool = True
    channel: str = MIX
    track: int | None = None
    max_duration_s: float | None = None

    def __post_init__(self) -> None:
        if self.what not in list(What):
            raise EmovoxError(f"what is {self.what!r}; expected {', '.join(What)}")
        if parse_channel(self.channel) == EACH and self.what == What.EMBED:
            raise EmovoxError("channel is 'each'; expected one, or mix, for embeddings")

    @property
    def longest_s(self) -> float:
        """Maximum duration of a recording in seconds."""
        if self.max_duration_s is not None:
            return self.max_duration_s
        return MAX_TIMELINE_S if self.what == What.TIMELINE else MAX_DURATION_S


@dataclass(frozen=True, slots=True)
class WorkSpec:
    """All that a worker needs, on any machine: settings, the model's bytes, columns of the rows.

    Attributes:
        settings: The settings.
        model: Content of the model file.
        model_name: Its path, for errors.
        model_sha256: SHA-256 of the content.
        extra_columns: Names of the manifest's own columns, which are kept in the rows.
    """

    settings: ArchiveSettings
    model: bytes
    model_name: str
    model_sha256: str
    extra_columns: tuple[str, ...] = ()

    def open_recognizer(self) -> Recognizer:
        """Open the recogniser, with one thread."""
        settings = self.settings
        return Recognizer(
            open_model_bytes(self.model, Path(self.model_name)),
            detector=SpeechDetector() if settings.vad else None,
            min_confidence=settings.min_confidence,
            max_duration_s=settings.longest_s,
        )

    def describe(self, info: ModelInfo) -> dict[str, Any]:
        """Return what must be the same for all rows of a folder, as JSON-serialisable types."""
        values = asdict(self.settings) | {
            "model": info.name,
            "max_duration_s": self.settings.longest_s,
        }
        if values["min_confidence"] is None:
            values["min_confidence"] = info.min_confidence
        return {
            "format_version": FORMAT_VERSION,
            "emovox_version": __version__,
            "model_sha256": self.model_sha256,
            "labels": list(info.labels),
            "extra_columns": list(self.extra_columns),
            **values,
        }


def make_spec(settings: ArchiveSettings, extra_columns: tuple[str, ...]) -> WorkSpec:
    """Return what the workers need for these settings.

    Raises:
        ModelFileError: The model file is missing, or is not the named one.
    """
    name = settings.model or DEFAULT_MODEL
    path = find_model(name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(
            f"cannot be read ({error.strerror}); expected a model.onnx written by emovox",
            code="model.unreadable",
            source=str(path),
        ) from error
    sha256 = hashlib.sha256(content).hexdigest()
    check_named_model(name, path, sha256)
    return WorkSpec(settings, content, str(path), sha256, extra_columns)
