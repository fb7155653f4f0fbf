"""``emovox timeline`` as a user runs it."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

Call = Callable[..., Any]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Return 4 s of a loud tone, 4 s of silence, and 4 s of a quiet tone."""
    tone = np.sin(2 * np.pi * 300 * np.arange(32_000) / 8_000)
    path = tmp_path / "my call.wav"
    sf.write(path, np.concatenate([0.95 * tone, np.zeros(32_000), 0.2 * tone]), 8_000)
    return path


@pytest.fixture
def timeline(call: Call, loudness_model: Path) -> Call:
    return lambda *args: call("timeline", "--no-vad", "--model", loudness_model, *args)


def test_the_table_fits_80_columns(timeline: Call, recording: Path) -> None:
    answer = timeline(recording)
    assert (answer.status, answer.stderr) == (0, "")
    name, head, *rows = answer.stdout.splitlines()
    assert name == str(recording)
    assert head.split() == ["start", "end", "emotion", "confidence", "runner-up"]
    assert [row.split() for row in rows] == [
        ["0:00:00.0", "0:00:04.1", "loud", "0.598", "quiet", "0.402"],
        ["0:00:04.1", "0:00:07.9", "no", "speech", "-", "-"],
        ["0:00:07.9", "0:00:12.0", "quiet", "0.874", "loud", "0.126"],
    ]
    assert max(map(len, [head, *rows])) <= 80


def test_rows_and_objects_have_the_same_segments(timeline: Call, recording: Path) -> None:
    objects = json.loads(timeline(recording, "--format", "json").stdout)
    assert [p["emotion"] or p["abstained"] for p in objects] == ["loud", "no speech", "quiet"]
    assert [
        json.loads(x) for x in timeline(recording, "--format", "jsonl").stdout.splitlines()
    ] == (objects)
    rows = list(csv.DictReader(io.StringIO(timeline(recording, "--format", "csv").stdout)))
    assert [float(row["end_s"]) for row in rows] == [p["end_s"] for p in objects]
    assert float(rows[0]["loud"]) == objects[0]["scores"]["loud"]


def test_unmerged_has_a_row_for_each_second(timeline: Call, recording: Path) -> None:
    objects = json.loads(timeline(recording, "--format", "json", "--unmerged").stdout)
    assert sum(p["emotion"] == "loud" for p in objects) == 4


@pytest.mark.parametrize(
    ("output", "first"),
    [
        ("srt", "1"),
        ("vtt", "WEBVTT"),
        ("rttm", "SPEAKER my_call 1 0.000 4.062 <NA> <NA> loud 0.598 <NA>"),
        ("textgrid", 'File type = "ooTextFile"'),
    ],
)
def test_other_formats_are_printed_or_written(
    timeline: Call, recording: Path, tmp_path: Path, output: str, first: str
) -> None:
    answer = timeline(recording, "--format", output)
    assert (answer.status, answer.stderr) == (0, "")
    assert answer.stdout.splitlines()[0] == first
    again = tmp_path / "b.wav"
    again.write_bytes(recording.read_bytes())
    answer = timeline(recording, again, "--format", output, "--out", tmp_path / "out")
    assert (answer.status, answer.stdout) == (0, "")
    suffix = "TextGrid" if output == "textgrid" else output
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == [f"b.{suffix}", f"my call.{suffix}"]


def test_audformat_is_a_folder(timeline: Call, recording: Path, tmp_path: Path) -> None:
    answer = timeline(recording, "--format", "audformat", "--out", tmp_path / "db")
    assert (answer.status, answer.stdout) == (0, "")
    assert sorted(path.name for path in (tmp_path / "db").iterdir()) == [
        "db.emotion.csv",
        "db.yaml",
    ]


def test_page_and_figure_come_with_the_table(
    timeline: Call, recording: Path, tmp_path: Path
) -> None:
    table = timeline(recording).stdout
    html, plot = tmp_path / "a.html", tmp_path / "a.png"
    answer = timeline(recording, "--html", html, "--plot", plot)
    assert (answer.status, answer.stdout, answer.stderr) == (0, table, "")
    assert "my call.wav" in html.read_text(encoding="utf-8")
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_each_channel_is_named(timeline: Call, recording: Path, tmp_path: Path) -> None:
    left, _ = sf.read(recording)
    sf.write(tmp_path / "two.wav", np.stack([left, left[::-1]], axis=1), 8_000)
    lines = timeline(tmp_path / "two.wav", "--channel", "each").stdout.splitlines()
    assert [line.split("(")[1] for line in lines if "(" in line] == ["channel 1)", "channel 2)"]


def test_what_fails_leaves_the_others_and_no_half_file(
    timeline: Call, recording: Path, tmp_path: Path
) -> None:
    samples, _ = sf.read(recording)
    samples = np.concatenate([np.tile(samples, 20), [np.nan]])
    bad = tmp_path / "bad.wav"
    sf.write(bad, samples, 8_000, subtype="FLOAT")
    answer = timeline(bad, recording, "--format", "jsonl")
    assert answer.status == 1
    assert "bad.wav: holds NaN" in answer.stderr
    objects = [json.loads(line) for line in answer.stdout.splitlines()]
    (at,) = (at for at, found in enumerate(objects) if "error" in found)
    assert at > 0
    assert objects[at]["code"] == "audio.not_finite"
    assert {found["file"] for found in objects[at + 1 :]} == {str(recording)}

    answer = timeline(bad, recording, "--format", "srt", "--out", tmp_path / "out")
    assert answer.status == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["my call.srt"]
    answer = timeline(bad, "--html", tmp_path / "a.html")
    assert answer.status == 1
    assert not (tmp_path / "a.html").exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--format", "srt"], "srt describes one recording, found 2; add --out"),
        (["--html", "a.html"], "--html and --plot take one recording, found 2"),
        (["--format", "audformat"], "audformat needs --out FOLDER"),
        (["--out", "x"], "--out needs --format srt, vtt, rttm, textgrid, audformat"),
        (["--plot", "a.pdf"], "--plot a.pdf: expected a .png or an .svg"),
        (["--format", "vtt", "--out", "x"], "several recordings are named my call"),
    ],
)
def test_what_cannot_be_written_is_refused_before(
    timeline: Call, recording: Path, options: list[str], problem: str
) -> None:
    answer = timeline(recording, recording, *options)
    assert (answer.status, answer.stdout) == (2, "")
    assert problem in " ".join(answer.stderr.split())
    assert not list(Path().iterdir())
