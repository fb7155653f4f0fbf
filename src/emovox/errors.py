"""What can go wrong, by name: each message says what was found, what was expected, what to do."""


class EmovoxError(Exception):
    """Any failure that emovox itself reports; its text is meant for the user.

    ``str(error)`` is one line with the source's name before it; a service that must not show paths
    uses ``detail``. Programs read ``code``, which does not change, instead of sentences; the
    page "Errors" of the documentation lists all codes.

    Args:
        detail: What was found, what was expected, what to do.
        code: Stable name of the failure; ``None``: the class' own.
        source: What failed, such as a path.

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
    """A download that failed for good, or whose content is not what was promised."""

    code = "download.failed"


class RecipeError(EmovoxError):
    """A training recipe with an unknown key or a value out of range."""

    code = "recipe.invalid"


class ProtocolError(EmovoxError):
    """A split that cannot be made, or that shares speakers between training and test."""

    code = "protocol.invalid"


class EncoderError(EmovoxError):
    """A speech encoder that cannot be had, or is none that can be used."""

    code = "encoder.invalid"


class RunError(EmovoxError):
    """A run folder that is missing, incomplete, or belongs to another recipe."""

    code = "run.invalid"


class ModelFileError(EmovoxError):
    """A model file that is damaged, of another format, or contradicts itself."""

    code = "model.invalid"


class ExportError(EmovoxError):
    """An exported model whose probabilities differ from the trained network's."""

    code = "export.failed"
