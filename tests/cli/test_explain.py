"""``emovox explain``: the regions in words, as JSON and drawn."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

Call = Callable[..., Any]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Return 1.6 s of faint noise with a loud tone of 1 kHz from 0.4 to 0.8 s."""
    path = tmp_path / "a <b> & c.wav"
    time_s = np.arange(12_800) / 8_000
    on = (time_s >= 0.4) & (time_s < 0.8)
    noise = np.random.default_rng(0).normal(0, 1e-3, len(time_s))
    sf.write(path, 0.8 * on * np.sin(2 * np.pi * 1_000 * time_s) + noise, 8_000)
    return path


def test_the_strongest_regions_are_reported_in_words(
    call: Call, loudness_model: Path, clip: Path
) -> None:
    answer = call("explain", "--no-vad", "--model", loudness_model, "--emotion", "loud", clip)
    assert (answer.status, answer.stderr) == (0, "")
    head, rule, *lines = answer.stdout.splitlines()
    # The mean of the tone: 0.8 times (0 + 0.71 + 1 + 0.71) / 4, a quarter of the time.
    assert head == f"{clip}: loud, probability 12% (loudness)"
    assert rule == "without the region, the probability of loud falls (+) or rises (-) by:"
    assert lines[1] == "cells"
    cells = lines[2 : lines.index("stretches, all frequencies") - 1]
    assert len(cells) == 4
    assert {line.split("; ")[0].split(" s, ")[0] for line in cells} == {
        "  0.40-0.50",
        "  0.50-0.60",
        "  0.60-0.70",
        "  0.70-0.80",
    }
    assert all(line.endswith(" s, 730-1,114 Hz: +3 points") for line in cells)
    assert lines[-1] == "  0.00-1.60 s, 730-1,114 Hz: +12 points"


def test_json_holds_the_whole_map(call: Call, loudness_model: Path, clip: Path) -> None:
    options = ("--no-vad", "--model", loudness_model, "--format", "json")
    found = json.loads(call("explain", *options, clip).stdout)
    assert list(found) == [
        "file",
        "emotion",
        "probability",
        "time_edges_s",
        "band_edges_hz",
        "drops",
        "time_drops",
        "band_drops",
    ]
    assert (found["file"], found["emotion"]) == (str(clip), "quiet")
    assert np.array(found["drops"]).shape == (8, 16)
    assert len(found["time_edges_s"]) == len(found["time_drops"]) + 1
    # Without the tone, quiet is surer.
    assert min(found["band_drops"]) == pytest.approx(-0.12, abs=0.005)


def test_the_map_is_drawn(call: Call, loudness_model: Path, clip: Path, tmp_path: Path) -> None:
    for name in ("map.svg", "map.HTML"):
        command = ("explain", "--no-vad", "--model", loudness_model, "--out", tmp_path / name, clip)
        assert call(*command).status == 0
        first = (tmp_path / name).read_bytes()
        assert call(*command).status == 0
        assert (tmp_path / name).read_bytes() == first
    figure = (tmp_path / "map.svg").read_text()
    root = ET.fromstring(figure)  # noqa: S314
    assert root.get("width") == "900"
    assert "var(" not in figure
    page = (tmp_path / "map.HTML").read_text()
    assert "a &lt;b&gt; &amp; c.wav: quiet, probability 88%." in page
    assert page.count("<audio") == page.count("<svg") == 1
    assert "<script" not in page
    assert str(tmp_path) not in page


def test_what_cannot_be_explained_is_said_in_one_line(
    call: Call, loudness_model: Path, clip: Path, tmp_path: Path
) -> None:
    for arguments, error in (
        ((clip,), "no speech detected"),
        ((clip, "--no-vad", "--emotion", "sad"), "loudness has no emotion 'sad'; expected one"),
        ((clip, "--out", tmp_path / "map.png"), "cannot write a figure as '.png'; expected .svg"),
        (("none.wav",), "none.wav: no such file"),
    ):
        answer = call("explain", "--model", loudness_model, *arguments)
        assert (answer.status, answer.stdout) == (1, "")
        (line,) = answer.stderr.splitlines()
        assert error in line
    assert not (tmp_path / "map.png").exists()


@pytest.mark.parametrize("name", ["not\udcfftext.wav", "\x1b[31m\n\u202ered.wav"])
def test_an_odd_name_is_shown_escaped(
    call: Call, loudness_model: Path, clip: Path, tmp_path: Path, name: str
) -> None:
    path, shown = tmp_path / name, ascii(name)[1:-1]
    path.write_bytes(clip.read_bytes())
    options = ("--no-vad", "--model", loudness_model)
    answer = call("explain", *options, "--out", "why.html", path)
    assert (answer.status, answer.stderr) == (0, "")
    assert answer.stdout.startswith(f"{tmp_path}/{shown}: ")
    assert shown in Path("why.html").read_text(encoding="utf-8")
    found = json.loads(call("explain", *options, "--format", "json", path).stdout)["file"]
    assert found == path.as_uri()


def test_one_channel_is_explained(call: Call, loudness_model: Path, tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 300 * np.arange(8_000) / 8_000)
    sf.write(tmp_path / "call.wav", np.stack([0 * tone, 0.5 * tone], axis=1), 8_000)
    options = ("--no-vad", "--model", loudness_model, "--emotion", "loud", "--format", "json")
    for channel, probability in (("right", 1 / np.pi), ("mix", 0.5 / np.pi)):
        answer = call("explain", *options, "--channel", channel, tmp_path / "call.wav")
        assert json.loads(answer.stdout)["probability"] == pytest.approx(probability, abs=1e-3)
    answer = call("explain", *options, "--track", "2", tmp_path / "call.wav")
    assert (answer.status, "has 1 track of sound, expected track 2" in answer.stderr) == (1, True)
    answer = call("explain", *options, "--channel", "each", tmp_path / "call.wav")
    assert (answer.status, "expected one" in answer.stderr) == (1, True)
