"""Error classes: each message says what was found, what was expected, and what to do."""


class EmovoxError(Exception):
    """Base class of all emovox errors; the message is written for end users.

    ``str(error)`` is one line that starts with the source; a service that must not expose paths
    shows ``detail`` instead. Programs should check ``code``, which is stable, rather than the
    message. The "Errors" page of the documentation lists all codes.

    Args:
        detail: What was found, what was expected, and what to do.
        code: Stable error code; ``None``: the class default.
        source: Path or name of the input that failed.

    Examples:
        >>> error = AudioError("is empty", code="audio.empty", source="clip.wav")
        >>> str(error), error.code, error.detail
        ('clip.wav: is empty', 'audio.empty', 'is empty')
    """

    code = "setting.invalid"

    def __init__(self, detail: str, *, code: str | None = None, source: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.source = source
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return self.detail if self.source is None else f"{self.source}: {self.detail}"


class AudioError(EmovoxError):
    """A recording that cannot be used: unreadable, empty, damaged, too long, or not audio."""

    code = "audio.invalid"


class CorpusError(EmovoxError):
    """A corpus that is missing, incomplete, or not laid out as its reader expects."""

    code = "corpus.invalid"


class DownloadError(EmovoxError):
    """A download that failed permanently, or whose content is not as expected."""

    code = "download.failed"


class RecipeError(EmovoxError):
    """A training recipe with an unknown key or a value out of range."""

    code = "recipe.invalid"


class ProtocolError(EmovoxError):
    """A split that cannot be built, or that shares speakers between training and test."""

    code = "protocol.invalid"


class EncoderError(EmovoxError):
    """A speech encoder that cannot be obtained, or is not supported."""

    code = "encoder.invalid"


class RunError(EmovoxError):
    """A run folder that is missing, incomplete, or belongs to another recipe."""

    code = "run.invalid"


class ModelFileError(EmovoxError):
    """A model file that is damaged, in another format, or inconsistent."""

    code = "model.invalid"


class VoiceError(EmovoxError):
    """A voice that is damaged, was made with another model, or has too little speech."""

    code = "voice.invalid"


class ExportError(EmovoxError):
    """An exported model whose probabilities differ from the trained network's."""

    code = "export.failed"


class ArchiveError(EmovoxError):
    """An archive that cannot be listed or written, or that was begun with other settings."""

    code = "archive.invalid"
