"""Errors as the service reports them: problem details (RFC 9457) with emovox's stable codes."""

import re
from http import HTTPStatus
from typing import Any

from emovox.errors import AudioError, EmovoxError, ModelFileError

MEDIA_TYPE = "application/problem+json"

_STATUSES = {
    "audio.too_large": 413,
    "audio.too_long": 413,
    "audio.unknown_format": 415,
    "service.bad_request": 400,
    "service.unauthorized": 401,
    "service.forbidden_origin": 403,
    "service.not_found": 404,
    "service.method": 405,
    "service.slow": 408,
    "service.too_large": 413,
    "service.media_type": 415,
    "service.wrong_host": 421,
    "service.invalid": 422,
    "service.rate_limited": 429,
    "service.failed": 500,
    "service.overloaded": 503,
    "service.deadline": 503,
    "service.shutting_down": 503,
}
"""HTTP status of each code; others are 422, those of a failing model 500."""

_MISSING = ("model.no_reference", "model.no_embedding")
"""What a model is not made for."""


class ServiceError(EmovoxError):
    """A request that the service refuses.

    Args:
        detail: What was found, what was expected, and what to do.
        code: Stable error code, which determines the HTTP status.
        retry_after_s: Seconds after which the client may try again.
        headers: Further headers of the response.
    """

    code = "service.invalid"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        retry_after_s: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail, code=code)
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["retry-after"] = str(retry_after_s)


def find_status(error: EmovoxError) -> int:
    """Return the HTTP status of an error.

    Examples:
        >>> find_status(AudioError("is empty", code="audio.empty"))
        422
    """
    if error.code in _STATUSES:
        return _STATUSES[error.code]
    return 500 if isinstance(error, ModelFileError) and error.code not in _MISSING else 422


def describe_problem(error: EmovoxError) -> dict[str, Any]:
    """Return the problem details of an error, without names of files on the server."""
    status = find_status(error)
    # Remedies in brackets are options of the command line.
    detail = re.sub(r" \(emovox (?:[^()]|\([^()]*\))*\)", "", error.detail)
    if error.code in _MISSING:
        detail = "the server's model takes no voice; leave it out"
    elif isinstance(error, ModelFileError):
        detail = "the model failed on this recording; report it if it happens again"
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": error.code,
        "detail": f"the recording {detail}" if _lacks_subject(error) else detail,
    }


def _lacks_subject(error: EmovoxError) -> bool:
    """Return whether the text of an error continues the name of a recording."""
    return isinstance(error, AudioError) and not error.detail.startswith(("the ", "no ", "an "))
