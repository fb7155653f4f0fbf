"""Make the README's picture, docs/images/report.png: a screenshot of a run's report.

    .venv/bin/emovox train --recipe encoder --protocol emobox-6
    .venv/bin/python scripts/make_report_picture.py runs/encoder-emobox-6

It shows the scores with their intervals and the confusion matrix, and needs chromium
(`apt install chromium`).
"""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image, ImageChops

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "report.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1_120, 2_400
"""Size of the browser window in CSS pixels; empty space below the page is cut off."""
SCALE = 1.5
MARGIN = 36
SHOWN = """<style>
:root { color-scheme: light !important; }
nav, footer, main > section:not(#scores):not(#confusion), #scores > .columns { display: none; }
header { padding-top: 1.2rem; }
</style></head>"""


def main(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    out: Annotated[Path, typer.Option(help="Picture to write.")] = PICTURE,
) -> None:
    """Draw the heading, the scores and the confusion matrix of a run's report."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise typer.BadParameter(f"found none of {', '.join(BROWSERS)}: apt install chromium")
    report = (run / "report.html").read_text(encoding="utf-8")
    for part in ("</head>", 'id="scores"', 'class="confusion"'):
        if part not in report:
            raise typer.BadParameter(f"{run / 'report.html'} has no {part}: adapt this script")
    with tempfile.TemporaryDirectory() as folder:
        page, shot = Path(folder) / "report.html", Path(folder) / "shot.png"
        page.write_text(report.replace("</head>", SHOWN, 1), encoding="utf-8")
        command = [
            browser,
            *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            f"--window-size={WIDTH},{HEIGHT}",
            f"--force-device-scale-factor={SCALE}",
            f"--screenshot={shot}",
            page.as_uri(),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=120)  # noqa: S603
        picture = trim(Image.open(shot).convert("RGB"))
    out.parent.mkdir(parents=True, exist_ok=True)
    picture.quantize(128, dither=Image.Dither.NONE).save(out, optimize=True)
    typer.echo(f"{out}: {picture.width}x{picture.height}, {out.stat().st_size / 1e3:.0f} kB")


def trim(picture: Image.Image) -> Image.Image:
    """Crop the empty space around the page, except for a margin."""
    paper = Image.new("RGB", picture.size, picture.getpixel((0, 0)))
    box = ImageChops.difference(picture, paper).getbbox()
    if box is None:
        raise typer.BadParameter("the browser drew an empty page")
    left, top, right, bottom = box
    return picture.crop((left - MARGIN, max(0, top - MARGIN), right + MARGIN, bottom + MARGIN))


if __name__ == "__main__":
    typer.run(main)
