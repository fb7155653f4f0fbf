"""The application: routes, errors and page, guarded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from emovox import __version__
from emovox.errors import EmovoxError
from emovox.recognition.recognizer import Recognizer
from emovox.service.engine import Engine
from emovox.service.guard import Guard
from emovox.service.metrics import Metrics
from emovox.service.page import mount_page
from emovox.service.problems import ServiceError
from emovox.service.responses import ProblemResponse
from emovox.service.routes import make_router
from emovox.service.settings import ServiceSettings
from emovox.service.uploads import VOICE_HEADER

DESCRIPTION = """\
Speech emotion recognition. Send a recording in any common format and get an emotion with its
probability, or why there is none. Audio is processed in memory and forgotten with the response.

Live audio goes to the WebSocket `/v1/stream`, which OpenAPI cannot describe; see the documentation.
Errors are problem details (RFC 9457) with a stable `code`.
"""


def create_app(
    recognizer: Recognizer, settings: ServiceSettings, metrics: Metrics
) -> tuple[ASGIApp, FastAPI]:
    """Build the application of one process.

    Args:
        recognizer: An open model.
        settings: All settings.
        metrics: Counters of this process.

    Returns:
        The guarded application, and the one inside, whose routes are documented.
    """
    engine = Engine(recognizer, settings, metrics)

    @asynccontextmanager
    async def live(_app: FastAPI) -> AsyncIterator[None]:
        yield
        engine.close()

    app = FastAPI(
        title="emovox",
        version=__version__,
        description=DESCRIPTION,
        # Their pages load scripts from another server.
        docs_url=None,
        redoc_url=None,
        lifespan=live,
    )
    app.include_router(make_router(engine))
    mount_page(app, recognizer.model)
    if settings.keys:
        _document_keys(app)
    app.add_exception_handler(EmovoxError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(MemoryError, _answer_memory)
    app.add_exception_handler(Exception, _answer_failure)
    inner: ASGIApp = app
    if settings.origins:
        inner = CORSMiddleware(
            app,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", VOICE_HEADER],
            expose_headers=["retry-after"],
        )
    return Guard(inner, settings, metrics), app


async def _answer_error(_request: Request, error: Any) -> Response:
    """Answer with an error of emovox."""
    return ProblemResponse(error)


async def _answer_invalid(_request: Request, error: Any) -> Response:
    """Answer a query that does not fit, without repeating what it contained."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:]) or "request"
    return ProblemResponse(ServiceError(f"{name}: {first['msg']}; correct the query"))


async def _answer_http_error(_request: Request, error: Any) -> Response:
    """Answer a path or method that does not exist."""
    detail, headers = (
        f"{error.detail}; see /openapi.json for what there is",
        dict(error.headers or {}),
    )
    if error.status_code == 404:
        return ProblemResponse(ServiceError(detail, code="service.not_found", headers=headers))
    if error.status_code == 405:
        return ProblemResponse(ServiceError(detail, code="service.method", headers=headers))
    return ProblemResponse(ServiceError(detail, code="service.bad_request", headers=headers))


async def _answer_memory(_request: Request, _error: Exception) -> Response:
    """Answer that there is no memory left for this request now."""
    return ProblemResponse(
        ServiceError(
            "not enough memory for this recording now; try again later, or send a shorter one",
            code="service.overloaded",
            retry_after_s=10,
        )
    )


async def _answer_failure(_request: Request, _error: Exception) -> Response:
    """Answer an unexpected error, which the log describes, without its text."""
    return ProblemResponse(
        ServiceError("an unexpected error; report it with the server's log", code="service.failed")
    )


def _document_keys(app: FastAPI) -> None:
    """Say in the OpenAPI document that requests need a key."""
    plain = app.openapi

    def describe() -> dict[str, Any]:
        document = plain()
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["key"] = {"type": "http", "scheme": "bearer"}
        for path, methods in document["paths"].items():
            if path.startswith("/v1/") or path == "/metrics":
                for operation in methods.values():
                    operation["security"] = [{"key": []}]
        return document

    app.openapi = describe  # type: ignore[method-assign]
