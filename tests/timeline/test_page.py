"""The page and the figure of a timeline."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from matplotlib.image import imread

from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import Prediction
from emovox.timeline.media import N_COLUMNS, TimelineMedia, choose_colours, make_timeline_media
from emovox.timeline.page import summarize, write_timeline_page
from emovox.timeline.plot import plot_timeline

NAME = "<b>$1 & co</b>.wav"


@pytest.fixture(scope="module")
def recognizer(loudness_model: Path) -> Recognizer:
    return Recognizer.load(loudness_model, vad=False, min_confidence=0.55)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 12 s at 8 kHz: quiet, 4 s of silence, loud, on both channels."""
    path = tmp_path_factory.mktemp("recording") / "a.wav"
    time_s = np.arange(32_000) / 8_000
    sound = np.sin(2 * np.pi * 300 * time_s)
    left = np.concatenate([0.2 * sound, np.zeros(32_000), 0.95 * sound])
    sf.write(path, np.stack([left, left], axis=1), 8_000, subtype="FLOAT")
    return path


@pytest.fixture(scope="module")
def media(recognizer: Recognizer, recording: Path) -> TimelineMedia:
    return make_timeline_media(recognizer, recording, 12.0)


class Reader(HTMLParser):
    """Collects the tags of a page, and the text of its table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data.strip()

    def find(self, tag: str, key: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag and key in attributes]


def write(
    tmp_path: Path, recognizer: Recognizer, recording: Path, media: TimelineMedia, channel: str
) -> str:
    hops = list(recognizer.timeline(recording, channel=channel, merge=False))
    write_timeline_page(tmp_path / "a.html", hops, media, recognizer.info, NAME)
    return (tmp_path / "a.html").read_text(encoding="utf-8")


def test_the_sound_and_its_envelope_are_the_recordings(media: TimelineMedia) -> None:
    samples, rate_hz = sf.read(io.BytesIO(media.audio))
    assert rate_hz == 24_000
    assert len(samples) / rate_hz == pytest.approx(12, abs=0.1)
    assert media.envelope.shape == (N_COLUMNS,)
    third = N_COLUMNS // 3
    assert media.envelope.max() == 1
    assert media.envelope[5 : third - 5] == pytest.approx(np.full(third - 10, 0.2 / 0.95), abs=0.02)
    assert media.envelope[third + 5 : 2 * third - 5].max() < 0.01


def test_without_audio_there_is_an_envelope(
    recognizer: Recognizer, recording: Path, media: TimelineMedia
) -> None:
    found = make_timeline_media(recognizer, recording, 12.0, with_audio=False, channel="right")
    assert found.audio == b""
    assert found.envelope.tolist() == media.envelope.tolist()


def test_the_page_has_each_segment_as_span_and_row(
    tmp_path: Path, recognizer: Recognizer, recording: Path, media: TimelineMedia
) -> None:
    page = Reader(write(tmp_path, recognizer, recording, media, "mix"))
    spans = [tag for tag in page.find("button", "data-start")]
    rows = page.find("tr", "data-start")
    segments = list(recognizer.timeline(recording))
    for found in (spans, rows):
        assert [float(tag["data-start"] or "") for tag in found] == pytest.approx(
            [s.start_s for s in segments], abs=1e-3
        )
    assert [page.cells[at] for at in (3, 9, 15)] == ["quiet", "no speech", "loud"]
    widths = [float(re.findall(r"width: ([\d.]+)%", str(tag["style"]))[0]) for tag in spans]
    assert sum(widths) == pytest.approx(100, abs=0.01)
    assert "quiet, 87%" in str(spans[0]["title"])


def test_the_page_is_whole_and_safe(
    tmp_path: Path, recognizer: Recognizer, recording: Path, media: TimelineMedia
) -> None:
    text = write(tmp_path, recognizer, recording, media, "mix")
    assert "&lt;b&gt;$1 &amp; co&lt;/b&gt;.wav" in text
    assert "<b>$1" not in text
    assert re.findall(r"(?: src=| href=|url\()[\"']?(.{5})", text) == ["data:"]
    (script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text


def test_each_channel_has_its_rows(
    tmp_path: Path, recognizer: Recognizer, recording: Path, media: TimelineMedia
) -> None:
    text = write(tmp_path, recognizer, recording, media, "each")
    assert text.count('<div class="spans">') == 2
    assert text.count('<svg class="probabilities"') == 2
    assert '<th scope="col">channel</th>' in text


def test_a_recording_without_speech_has_a_page(
    tmp_path: Path, recognizer: Recognizer, media: TimelineMedia
) -> None:
    silent = [Prediction("a.wav", 0, 12, None, None, None, "no speech")]
    write_timeline_page(tmp_path / "a.html", silent, media, recognizer.info, "a.wav")
    assert "0:00:12 in 1 segment, no speech." in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_the_summary_counts_seconds_of_speech() -> None:
    scores = {"sad": 0.7}
    segments = [
        Prediction(None, 0, 10, None, None, None, "no speech"),
        Prediction(None, 10, 40, "sad", 0.7, scores),
        Prediction(None, 40, 50, None, 0.4, scores, "uncertain"),
    ]
    expected = "0:00:50 in 3 segments, 0:00:40 of speech: sad 75%, uncertain 25%."
    assert summarize(segments) == expected


@pytest.mark.parametrize("channel", ["mix", "each"])
def test_the_figure_is_drawn(
    tmp_path: Path, recognizer: Recognizer, recording: Path, media: TimelineMedia, channel: str
) -> None:
    hops = list(recognizer.timeline(recording, channel=channel, merge=False))
    for name in ("a.png", "a.svg"):
        plot_timeline(tmp_path / name, hops, media, recognizer.info.labels, NAME)
    assert imread(tmp_path / "a.png").shape[1] == 1_350
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    for label in ("quiet", "loud", "uncertain or too short", "&lt;b&gt;$1 &amp; co"):
        assert label in text
    plot_timeline(tmp_path / "b.svg", hops, media, recognizer.info.labels, NAME)
    assert (tmp_path / "b.svg").read_bytes() == (tmp_path / "a.svg").read_bytes()


def test_emotions_have_different_colours() -> None:
    from emovox.labels import EMOTIONS

    assert len(set(choose_colours(EMOTIONS).values())) == len(EMOTIONS)
    own = choose_colours(["angry", *(f"own {at}" for at in range(7))])
    assert len(set(own.values())) == 8
    assert choose_colours(["angry"]) == {"angry": own["angry"]}
    assert len(choose_colours([f"own {at}" for at in range(20)])) == 20
