"""``emovox page``: write the web page as a static folder."""

from pathlib import Path
from typing import Annotated

import typer

from emovox.cli.options import ModelOption
from emovox.cli.terminal import echo


def page(
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder to write.")],
    model: ModelOption = None,
) -> None:
    """Write a web page that predicts emotions in the browser, for any web server.

    Recordings stay in the browser. The folder needs no emovox on the server; try it with
    'python -m http.server --directory FOLDER'.
    """
    from emovox.recognition.model_file import find_default_model, open_model
    from emovox.webpage.page import write_page

    written = write_page(out, open_model(model or find_default_model()))
    size = sum(path.stat().st_size for path in written)
    echo(f"{written[-1]} ({len(written)} files, {size / 1e6:.1f} MB)")
