"""The recordings that come with the package, and the page to listen to them."""

import importlib.util
import os
import re
from html import unescape
from pathlib import Path

import pytest

from emovox.audio.load import load_audio
from emovox.demo.clips import ASSETS, DemoClip, read_demo_clips
from emovox.demo.page import count_agreed, write_demo_page
from emovox.recognition.results import Prediction

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_demo_clips.py"


def predict(clip: DemoClip, emotion: str | None, confidence: float) -> Prediction:
    """Return a made-up prediction."""
    scores = {"calm": 1 - confidence, "sad": confidence}
    abstained = None if emotion else "uncertain"
    return Prediction(clip.path.name, 0.0, 2.0, emotion, confidence, scores, abstained)


def test_clips_are_balanced_by_emotion_gender_speaker_and_sentence() -> None:
    clips = read_demo_clips()
    cells = {(clip.intended, clip.gender) for clip in clips}
    emotions = ("neutral", "happy", "sad", "angry", "fearful", "disgust")
    assert cells == {(e, gender) for e in emotions for gender in ("female", "male")}
    assert len(clips) == len({clip.speaker for clip in clips}) == 12
    assert len({clip.sentence for clip in clips}) == 12
    assert sum(clip.heard == clip.intended for clip in clips) >= 6
    assert all(0 < clip.votes <= clip.listeners for clip in clips)


def test_clips_are_small_decode_and_have_their_licence_beside_them() -> None:
    listed = {clip.file for clip in read_demo_clips()}
    assert {path.name for path in ASSETS.iterdir()} == {
        *listed,
        "clips.csv",
        "CREMA-D.LICENSE.txt",
    }
    assert sum(path.stat().st_size for path in ASSETS.iterdir()) < 300_000
    assert all(1 < load_audio(clip.path, 16_000).duration_s < 6 for clip in read_demo_clips())
    licence = (ASSETS / "CREMA-D.LICENSE.txt").read_text(encoding="utf-8")
    assert "Open Database License 1.0" in licence
    assert "Database Contents License 1.0" in licence.replace("\n", " ")


@pytest.mark.corpus
def test_the_committed_clips_are_those_that_the_script_draws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    corpus = Path(os.environ.get("EMOVOX_DATA", "")) / "crema-d"
    if not (corpus / "tabulatedVotes.csv").is_file():
        pytest.skip("CREMA-D is missing: set EMOVOX_DATA to the folder that contains it")
    spec = importlib.util.spec_from_file_location("make_demo_clips", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "ASSETS", tmp_path)
    monkeypatch.setattr("emovox.demo.clips._MANIFEST", tmp_path / "clips.csv")
    script.main(corpus)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (ASSETS / path.name).read_bytes()
    assert len(list(tmp_path.iterdir())) == 13


def test_the_page_shows_what_was_intended_heard_and_predicted(tmp_path: Path) -> None:
    angry, happy, sad = (
        next(c for c in read_demo_clips() if c.heard == c.intended == emotion)
        for emotion in ("angry", "happy", "sad")
    )
    results = [
        (sad, predict(sad, "sad", 0.75)),
        (happy, predict(happy, "sad", 0.91)),
        (angry, predict(angry, None, 0.52)),
    ]
    assert count_agreed(results) == 1
    write_demo_page(tmp_path / "demo.html", results)
    html = (tmp_path / "demo.html").read_text(encoding="utf-8")
    text = unescape(re.sub(r"<[^>]*>", " ", html))
    assert "1 of 3 emovox predicts what listeners heard" in re.sub(r"\s+", " ", text)
    assert re.findall(r'"answer (\w+)">(\w+)<', html) == [
        ("same", "sad"),
        ("other", "sad"),
        ("none", "uncertain"),
    ]
    for clip, _ in results:
        assert f"“{clip.sentence}”" in text
        assert f"{clip.votes} of {clip.listeners}" in text
    assert re.findall(r'<i style="width: ([\d.]+)%">', html) == [
        *("25.0", "75.0"),
        *("9.0", "91.0"),
        *("48.0", "52.0"),
    ]


def test_the_page_opens_offline_and_runs_nothing(tmp_path: Path) -> None:
    clip = read_demo_clips()[0]
    write_demo_page(tmp_path / "demo.html", [(clip, predict(clip, "sad", 0.8))])
    html = (tmp_path / "demo.html").read_text(encoding="utf-8")
    assert "<script" not in html
    assert "<link" not in html
    assert "url(" not in html
    sources = re.findall(r'src="([^"]{,22})', html)
    assert sources == ["data:image/png;base64,", "data:audio/mpeg;base64"]
    assert "$" not in html
    assert "prefers-color-scheme: dark" in html
    assert "Open Database License" in html
