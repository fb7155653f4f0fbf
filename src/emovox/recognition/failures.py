"""Describe why a recording in a batch could not be used."""

import logging
from pathlib import Path

from emovox.audio.sources import name_source
from emovox.errors import EmovoxError
from emovox.recognition.results import FileFailure

_log = logging.getLogger(__name__)


def name_file(source: object) -> str | None:
    """Return a path as the caller gave it; ``None`` for other sources."""
    return str(source) if isinstance(source, str | Path) else None


def describe_failure(source: object, error: Exception) -> FileFailure:
    """Describe any error that a recording raised.

    Args:
        source: The recording.
        error: What was raised; log messages get its traceback if it is not emovox's own.
    """
    if isinstance(error, EmovoxError):
        return FileFailure(name_file(source), str(error), error.code, error.detail)
    _log.info("%s failed", name_source(source), exc_info=error)
    code = "source.failed"
    if isinstance(error, TypeError | MemoryError):
        code = "source.invalid" if isinstance(error, TypeError) else "source.memory"
    detail = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return FileFailure(name_file(source), f"{name_source(source)}: {detail}", code, detail)
