"""What can go wrong, by name: each message says what was found, what was expected, what to do."""


class EmovoxError(Exception):
    """Any failure that emovox itself reports; its text is meant for the user."""


class AudioError(EmovoxError):
    """A recording that cannot be used: unreadable, empty, damaged, too long, or not audio."""


class CorpusError(EmovoxError):
    """A corpus that is missing, incomplete, or not laid out as its reader expects."""


class DownloadError(EmovoxError):
    """A download that failed for good, or whose content is not what was promised."""


class RecipeError(EmovoxError):
    """A training recipe with an unknown key or a value out of range."""


class ProtocolError(EmovoxError):
    """A split that cannot be made, or that shares speakers between training and test."""


class EncoderError(EmovoxError):
    """A speech encoder that cannot be had, or is none that can be used."""


class RunError(EmovoxError):
    """A run folder that is missing, incomplete, or belongs to another recipe."""


class ModelFileError(EmovoxError):
    """A model file that is damaged, of another format, or contradicts itself."""


class ExportError(EmovoxError):
    """An exported model whose answers differ from the trained network's."""
