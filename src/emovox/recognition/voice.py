"""Voices: the baseline of one speaker, which a model takes off before it judges.

A voice file is JSON with the numbers of ``Voice`` and a SHA-256. It holds no audio.
"""

import base64
import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emovox.errors import VoiceError
from emovox.files import replace_file

NEUTRAL = "neutral"
UNLABELLED = "unlabelled"
KINDS = (NEUTRAL, UNLABELLED)
FORMAT_VERSION = 1
FILE_KIND = "emovox voice"
ABOUT = (
    "The average of one speaker's speech features, for one model. It holds no audio, and no words "
    "can be recovered from it; but it describes a voice, so treat it as personal data."
)
MAX_VOICE_BYTES = 2**20
"""Maximum size of a voice file."""
MIN_LOG_PROBABILITY = math.log(1e-6)


@dataclass(frozen=True, slots=True, eq=False)
class Voice:
    """What a model knows of one speaker through one microphone, from recordings of them.

    Voices are equal if all their numbers are.

    Attributes:
        reference: Mean of the recordings' embeddings, float32 ``(features,)``, read-only.
        kind: ``"neutral"`` if the speaker was enrolled with neutral speech, ``"unlabelled"`` if
            the recordings hold any emotion.
        recordings: Number of recordings.
        windows: Number of windows of at most 6 s that they were cut into; a short recording is one.
        speech_s: Speech in them, in seconds.
        labels: What is known of the emotions in them: the share of each of the model's labels. They
            sum to less than 1 where little is known. What a label adds to the average of the
            recordings is not taken for the speaker's.
        spread: How much the model's log-probabilities differ between the windows: their standard
            deviation, averaged over emotions. Low if all sound alike, 0 for a single window.
        model: SHA-256 of the model file that made it.
    """

    reference: npt.NDArray[np.float32]
    kind: str
    recordings: int
    windows: int
    speech_s: float
    labels: tuple[float, ...]
    spread: float
    model: str

    def __post_init__(self) -> None:
        reference = np.array(self.reference, dtype="<f4")
        reference.flags.writeable = False
        object.__setattr__(self, "reference", reference)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Voice) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    def to_bytes(self) -> bytes:
        """Return the content of the voice's file."""
        values = {
            "file": FILE_KIND,
            "format_version": FORMAT_VERSION,
            "about": ABOUT,
            "model": self.model,
            "kind": self.kind,
            "recordings": self.recordings,
            "windows": self.windows,
            "speech_s": self.speech_s,
            "labels": list(self.labels),
            "spread": self.spread,
            "reference": base64.b64encode(self.reference.tobytes()).decode(),
        }
        return (json.dumps({**values, "sha256": hash_values(values)}, indent=1) + "\n").encode()

    def save(self, path: str | Path) -> None:
        """Write the voice to a file, completely or not at all.

        Args:
            path: The file, such as ``me.voice``.

        Raises:
            EmovoxError: The file cannot be written.
        """
        with replace_file(Path(path)) as part:
            part.write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> "Voice":
        """Read a voice file.

        Args:
            path: A file that ``save`` wrote.

        Raises:
            VoiceError: The file is missing, damaged, of another version, or not a voice.
        """
        try:
            with Path(path).open("rb") as file:
                content = file.read(MAX_VOICE_BYTES + 1)
        except OSError as error:
            raise VoiceError(
                f"cannot be read ({error.strerror}); expected a voice file that 'emovox enroll' "
                "wrote",
                code="voice.unreadable",
                source=str(path),
            ) from None
        return cls.from_bytes(content, name=str(path))

    @classmethod
    def from_bytes(cls, content: bytes, *, name: str = "voice") -> "Voice":
        """Read the content of a voice file.

        Args:
            content: What ``to_bytes`` returned.
            name: Name of the source, for errors.

        Raises:
            VoiceError: The content is damaged, of another version, or not a voice.
        """
        try:
            if len(content) > MAX_VOICE_BYTES:
                raise ValueError(f"more than {MAX_VOICE_BYTES:,} bytes")
            values = json.loads(content)
            is_voice = isinstance(values, dict) and values.get("file") == FILE_KIND
        except (ValueError, RecursionError):
            is_voice = False
        if not is_voice:
            raise VoiceError(
                "not a voice file; expected one that 'emovox enroll' wrote",
                code="voice.foreign",
                source=name,
            )
        if values.get("format_version") != FORMAT_VERSION:
            raise VoiceError(
                f"voice file format {values.get('format_version')!r}; this emovox reads "
                f"{FORMAT_VERSION}: enrol the voice again, or install the emovox that wrote it",
                code="voice.version",
                source=name,
            )
        try:
            return read_values(values)
        except (KeyError, TypeError, ValueError) as error:
            raise VoiceError(
                f"damaged or changed ({error}); copy it again, or enrol the voice again",
                code="voice.damaged",
                source=name,
            ) from None


def hash_values(values: dict[str, Any]) -> str:
    """Return the SHA-256 of a voice file's entries."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def read_values(values: dict[str, Any]) -> Voice:
    """Build a voice from the entries of a file; raise ValueError or KeyError if they are wrong."""
    found = values.pop("sha256")
    if found != hash_values(values):
        raise ValueError("the content does not match its SHA-256")
    known = (
        "file format_version about model kind recordings windows speech_s labels spread reference"
    )
    if set(values) != set(known.split()):
        raise ValueError(f"its entries are {', '.join(values)}; expected {known}")
    reference = np.frombuffer(base64.b64decode(values["reference"], validate=True), "<f4")
    rules = {
        "kind": values["kind"] in KINDS,
        "model": re.fullmatch("[0-9a-f]{64}", str(values["model"])) is not None,
        "recordings": type(values["recordings"]) is int and values["recordings"] > 0,
        "windows": type(values["windows"]) is int and values["windows"] > 0,
        "speech_s": type(values["speech_s"]) is float and 0 <= values["speech_s"] < math.inf,
        "labels": _are_shares(values["labels"]),
        "spread": type(values["spread"]) is float and 0 <= values["spread"] < math.inf,
        "reference": len(reference) > 0 and bool(np.isfinite(reference).all()),
    }
    for key, holds in rules.items():
        if not holds:
            raise ValueError(f"{key} is {str(values[key])[:80]}")
    numbers = {key: values[key] for key in rules if key not in ("reference", "labels")}
    return Voice(reference=reference, labels=tuple(values["labels"]), **numbers)


def _are_shares(labels: object) -> bool:
    """Return whether these are shares of labels, which sum to at most 1."""
    if not isinstance(labels, list) or not all(type(share) is float for share in labels):
        return False
    return all(0 <= share <= 1 for share in labels) and 0 < len(labels) and sum(labels) <= 1 + 1e-6


def measure_spread(probabilities: list[npt.NDArray[np.float64]]) -> float:
    """Measure how much the model's predictions of a speaker's windows differ.

    What the speaker's voice adds to each is the same in all and cancels out, which is why it shows
    whether the recordings hold several emotions before the voice is known.

    Args:
        probabilities: Of each window, float64 ``(classes,)``.

    Returns:
        Standard deviation of the centred log-probabilities, averaged over classes.

    Examples:
        >>> measure_spread([np.array([0.5, 0.5])])
        0.0
    """
    logs = np.log(np.maximum(np.stack(probabilities), math.exp(MIN_LOG_PROBABILITY)))
    logs -= logs.mean(axis=1, keepdims=True)  # (windows, classes)
    return float(logs.std(axis=0).mean())
