"""Write an explanation as an SVG figure, or as a page with a player and tables of regions."""

from pathlib import Path

from markupsafe import Markup

from emovox.audio.waveform import Waveform, resample
from emovox.errors import EmovoxError
from emovox.explain.plot import make_standalone, plot_explanation
from emovox.explain.regions import Explanation
from emovox.files import write_text
from emovox.pages.environment import make_page_environment
from emovox.pages.media import PAGE_RATE_HZ, encode_audio, to_data_uri

SUFFIXES = (".svg", ".html")


def check_suffix(path: Path) -> None:
    """Refuse a file that is neither ``.svg`` nor ``.html``, before any computation.

    Raises:
        EmovoxError: The path has another extension.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise EmovoxError(
            f"{path}: cannot write a figure as {path.suffix or 'a file without extension'!r}; "
            "expected .svg or .html"
        )


def write_explanation(path: Path, explanation: Explanation, waveform: Waveform, name: str) -> None:
    """Write an explanation as an SVG file, or as an HTML page that opens offline.

    Args:
        path: Path ending in ``.svg`` or ``.html``; written atomically.
        explanation: The explanation of the recording.
        waveform: The recording; the page embeds a copy.
        name: Name of the recording, for the page's title.

    Raises:
        EmovoxError: The path has another extension.
    """
    check_suffix(path)
    svg = plot_explanation(explanation, waveform)
    if path.suffix.lower() == ".svg":
        write_text(path, make_standalone(svg) + "\n")
        return
    embedded = Waveform(resample(waveform.samples, waveform.rate_hz, PAGE_RATE_HZ), PAGE_RATE_HZ)
    environment = make_page_environment("emovox.explain")
    page = environment.get_template("explanation.html.j2").render(
        name=name,
        explanation=explanation,
        figure=Markup(svg),  # noqa: S704
        audio_uri=to_data_uri("audio/mpeg", encode_audio(embedded)),
    )
    write_text(path, page)
