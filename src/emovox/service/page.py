"""The page at ``/``: static files of the package, and what it needs of the model."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

PAGE = Path(__file__).parents[1] / "assets" / "page"
ABSENT = (
    "This is emovox. Its page is not part of this installation; the interface is described at "
    "/openapi.json.\n"
)


def mount_page(app: Starlette, folder: Path = PAGE) -> None:
    """Serve the page, or a line that says that it is missing.

    Args:
        app: The application; every other route has to be there already.
        folder: Folder of the built page.
    """
    if (folder / "index.html").is_file():
        app.mount("/", StaticFiles(directory=folder, html=True), name="page")
        return

    async def say_absent(_request: object) -> Response:
        return PlainTextResponse(ABSENT)

    app.router.routes.append(Route("/", say_absent, methods=["GET"]))
