"""The demo page: a player per recording, with the intended, heard and predicted emotion."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from emovox.demo.clips import DemoClip
from emovox.files import write_text
from emovox.pages.media import make_clip_media
from emovox.recognition.results import Prediction

_TEMPLATES = Path(__file__).with_name("templates")


def write_demo_page(path: Path, results: Sequence[tuple[DemoClip, Prediction]]) -> None:
    """Write a page with a player, a spectrogram and the scores of each recording.

    Args:
        path: The HTML file, written atomically. It works offline and contains no scripts.
        results: Recordings with their predictions.

    Examples:
        >>> write_demo_page(Path("demo.html"), [])
    """
    card = Template((_TEMPLATES / "card.html").read_text(encoding="utf-8"))
    page = Template((_TEMPLATES / "page.html").read_text(encoding="utf-8"))
    text = page.substitute(
        n_clips=len(results),
        n_agreed=count_agreed(results),
        n_uncertain=sum(prediction.emotion is None for _, prediction in results),
        n_heard_as_intended=sum(clip.heard == clip.intended for clip, _ in results),
        cards="".join(_fill_card(card, clip, prediction) for clip, prediction in results),
    )
    write_text(path, text)


def count_agreed(results: Sequence[tuple[DemoClip, Prediction]]) -> int:
    """Return how many predictions match the emotion that listeners heard most often."""
    return sum(prediction.emotion == clip.heard for clip, prediction in results)


def _fill_card(card: Template, clip: DemoClip, prediction: Prediction) -> str:
    media = make_clip_media(clip.path)
    agrees = prediction.emotion == clip.heard
    kind = "none" if prediction.emotion is None else ("same" if agrees else "other")
    bars = "".join(
        f'<dt class="{"heard" if label == clip.heard else ""}">{escape(label)}</dt>'
        f'<dd><span class="bar {"heard" if label == clip.heard else ""}" aria-hidden="true">'
        f'<i style="width: {100 * score:.1f}%"></i></span>'
        f'<span class="number">{100 * score:.0f}%</span></dd>'
        for label, score in (prediction.scores or {}).items()
    )
    return card.substitute(
        name=escape(Path(clip.file).stem),
        sentence=escape(clip.sentence),
        speaker={"female": "woman", "male": "man"}[clip.gender],
        number=escape(clip.speaker),
        duration=f"{media.duration_s:.1f}",
        audio=media.audio_uri,
        spectrogram=media.spectrogram_uri,
        intended=escape(clip.intended),
        heard=escape(clip.heard),
        votes=f"{clip.votes} of {clip.listeners}",
        predicted=escape(prediction.emotion or str(prediction.abstained)),
        confidence=f"{100 * (prediction.confidence or 0):.0f}%",
        kind=kind,
        bars=bars,
    )
