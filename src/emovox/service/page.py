"""The page at ``/``, and the model that it runs: a route for each file, and no other."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from emovox.errors import EmovoxError
from emovox.recognition.model_file import ModelFile
from emovox.webpage.page import list_page_files

ABSENT = (
    "This is emovox. Its page is not part of this installation; the interface is described at "
    "/openapi.json.\n"
)
_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
"""What the system's own table says differs between machines, and browsers insist on some."""


def mount_page(app: Starlette, model: ModelFile) -> None:
    """Serve the page and the model, or a line that says that the page is missing.

    Args:
        app: The application.
        model: The model that the page runs.
    """
    try:
        files = list_page_files(model, service=True)
    except EmovoxError:
        files = {"index.html": ABSENT.encode()}
    app.router.routes += [_make_route(name, files) for name in files]


def _make_route(name: str, files: Mapping[str, Path | bytes]) -> Route:
    """Return the route of one file."""
    content = files[name]
    media_type = _MEDIA_TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")

    async def send(_request: Request) -> Response:
        if content == ABSENT.encode():
            return PlainTextResponse(content)
        if isinstance(content, Path):
            return FileResponse(content, media_type=media_type)
        return Response(content, media_type=media_type)

    return Route("/" if name == "index.html" else f"/{name}", send, methods=["GET", "HEAD"])
