"""``emovox predict`` as a user runs it."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile as sf

FORMATS = ("table", "json", "jsonl", "csv")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with three constant recordings, of loudness 0.25, 0.5 and 0.75."""
    folder = tmp_path / "my recordings"
    folder.mkdir()
    for name, value in (("-dash.wav", 0.25), ("ü 日本 [red].wav", 0.5), ("z.flac", 0.75)):
        sf.write(folder / name, np.full(800, value), 8_000)
    return folder


def read_rows(output: str, text: str) -> list[dict[str, Any]]:
    """Read what a format printed back, as file, emotion, confidence and P(loud)."""
    if output == "json":
        found = json.loads(text)
    elif output == "jsonl":
        found = [json.loads(line) for line in text.splitlines()]
    elif output == "csv":
        found = list(csv.DictReader(io.StringIO(text)))
        found = [{**row, "scores": {"loud": float(row["loud"])}} for row in found]
    else:
        header, *lines = text.splitlines()
        assert header.split() == ["emotion", "confidence", "quiet", "loud", "file"]
        cells = [line.split(maxsplit=4) for line in lines]
        found = [
            {"emotion": e, "confidence": c, "scores": {"loud": float(loud)}, "file": f}
            for e, c, _, loud, f in cells
        ]
    return [
        row
        if "error" in row
        else {
            "file": row["file"],
            "emotion": row["emotion"],
            "confidence": float(row["confidence"]),
            "loud": row["scores"]["loud"],
        }
        for row in found
    ]


@pytest.mark.parametrize("jobs", ["1", "3"])
@pytest.mark.parametrize("output", FORMATS)
def test_each_format_reads_back(
    call: Callable[..., Any], loudness_model: Path, folder: Path, output: str, jobs: str
) -> None:
    answer = call(
        "predict", "--no-vad", "--model", loudness_model, "--format", output, "--jobs", jobs, folder
    )
    assert (answer.status, answer.stderr) == (0, "")
    rows = read_rows(output, answer.stdout)
    files = ["-dash.wav", "z.flac", "ü 日本 [red].wav"]
    assert [row["file"] for row in rows] == [str(folder / name) for name in files]
    assert [row["emotion"] for row in rows][:2] == ["quiet", "loud"]
    assert [row["loud"] for row in rows] == pytest.approx([0.25, 0.75, 0.5], abs=1e-3)
    assert [row["confidence"] for row in rows] == pytest.approx([0.75, 0.75, 0.5], abs=1e-3)


def test_json_has_the_documented_keys(
    call: Callable[..., Any], loudness_model: Path, folder: Path
) -> None:
    answer = call(
        "predict", "--no-vad", "--model", loudness_model, "--format", "json", folder / "z.flac"
    )
    (row,) = json.loads(answer.stdout)
    assert list(row) == ["file", "start", "end", "emotion", "confidence", "abstained", "scores"]
    assert (row["start"], row["end"], row["abstained"]) == (0, 0.1, None)
    assert list(row["scores"]) == ["quiet", "loud"]


@pytest.mark.parametrize("output", FORMATS)
def test_one_broken_file_is_reported_and_the_others_are_finished(
    call: Callable[..., Any], loudness_model: Path, folder: Path, output: str
) -> None:
    (folder / "broken.wav").write_bytes(b"no audio")
    arguments = ("predict", "--no-vad", "--model", loudness_model, "--format", output)
    answer = call(*arguments, folder, folder / "missing.wav")
    assert answer.status == 1
    rows = read_rows(output, answer.stdout)
    assert len([row for row in rows if "error" not in row]) == 3
    failed = [Path(row["file"]).name for row in rows if "error" in row]
    assert failed == (["broken.wav", "missing.wav"] if output in ("json", "jsonl") else [])
    broken, missing = answer.stderr.splitlines()
    assert broken.startswith(f"emovox: {folder / 'broken.wav'}: is damaged, or not audio")
    assert missing == f"emovox: {folder / 'missing.wav'}: no such file; check the path"


@pytest.mark.parametrize("output", ["json", "jsonl"])
def test_where_every_file_fails_the_output_is_still_of_its_format(
    call: Callable[..., Any], loudness_model: Path, output: str
) -> None:
    answer = call("predict", "--no-vad", "--model", loudness_model, "--format", output, "none.wav")
    assert answer.status == 1
    error = "none.wav: no such file; check the path"
    assert read_rows(output, answer.stdout) == [{"file": "none.wav", "error": error}]


def test_where_every_file_fails_the_table_is_empty(
    call: Callable[..., Any], loudness_model: Path
) -> None:
    answer = call("predict", "--no-vad", "--model", loudness_model, "none.wav")
    assert (answer.status, answer.stdout) == (1, "")


def test_longer_recordings_are_taken_when_asked(
    call: Callable[..., Any], loudness_model: Path, tmp_path: Path
) -> None:
    sf.write(tmp_path / "long.wav", np.full(301 * 1_000, 0.5), 1_000)
    arguments = ("predict", "--no-vad", "--model", loudness_model, "--format", "json")
    answer = call(*arguments, tmp_path / "long.wav")
    assert answer.status == 1
    assert "lasts 301.00 s, expected at most 300 s" in answer.stderr
    assert "emovox predict --max-duration" in answer.stderr
    answer = call(*arguments, "--max-duration", "400", tmp_path / "long.wav")
    assert answer.status == 0
    assert json.loads(answer.stdout)[0]["end"] == 301


def test_files_folders_and_repeats_keep_the_order_given(
    call: Callable[..., Any], loudness_model: Path, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    arguments = ("predict", "--no-vad", "--model", loudness_model, "--format", "csv", "--jobs", "2")
    single = folder / "z.flac"
    answer = call(*arguments, single, single, folder, tmp_path / "empty", single)
    names = [Path(row["file"]).name for row in read_rows("csv", answer.stdout)]
    assert names == ["z.flac"] * 2 + ["-dash.wav", "z.flac", "ü 日本 [red].wav", "z.flac"]
    assert answer.status == 1
    assert "empty: no audio file in it" in answer.stderr


def test_silence_and_doubt_are_said(
    call: Callable[..., Any], loudness_model: Path, folder: Path, tmp_path: Path
) -> None:
    sf.write(tmp_path / "silence.wav", np.zeros(800), 8_000)
    arguments = ("predict", "--no-vad", "--model", loudness_model, "--min-confidence", "0.7")
    files = (tmp_path / "silence.wav", folder / "ü 日本 [red].wav", folder / "z.flac")
    rows = json.loads(call(*arguments, "--format", "json", *files).stdout)
    assert [row["abstained"] for row in rows] == ["no speech", "uncertain", None]
    assert [row["emotion"] for row in rows] == [None, None, "loud"]
    lines = call(*arguments, *files).stdout.splitlines()
    assert [line[:10].strip() for line in lines] == ["emotion", "no speech", "uncertain", "loud"]


def test_a_constant_is_no_speech(
    call: Callable[..., Any], loudness_model: Path, folder: Path
) -> None:
    arguments = ("predict", "--model", loudness_model, "--format", "csv", folder)
    rows = list(csv.DictReader(io.StringIO(call(*arguments).stdout)))
    assert [(row["emotion"], row["abstained"]) for row in rows] == [("", "no speech")] * 3


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--format", "yaml", "a.wav"],
        ["--jobs", "0", "a.wav"],
        ["--min-confidence", "1.5", "a.wav"],
        ["--min-confidence", "nan", "a.wav"],
        ["--max-duration", "0", "a.wav"],
        ["--modle", "m.onnx", "a.wav"],
        ["-dash.wav"],
    ],
)
def test_wrong_usage_exits_2(call: Callable[..., Any], arguments: list[str]) -> None:
    answer = call("predict", *arguments)
    assert (answer.status, answer.stdout) == (2, "")
    assert answer.stderr.startswith("Usage: emovox predict")
    assert "Error: " in answer.stderr


@pytest.mark.parametrize("kind", ["missing", "folder", "audio"])
def test_what_is_no_model_is_said_in_one_line(
    call: Callable[..., Any], folder: Path, kind: str
) -> None:
    model = {"missing": Path("none.onnx"), "folder": folder, "audio": folder / "z.flac"}[kind]
    answer = call("predict", "--no-vad", "--model", model, folder / "z.flac")
    assert (answer.status, answer.stdout) == (1, "")
    (line,) = answer.stderr.splitlines()
    assert line.startswith(f"emovox: {model}: ")


def test_a_name_with_a_leading_dash_goes_after_two_dashes(
    emovox: Callable[..., Any], loudness_model: Path, folder: Path
) -> None:
    result = emovox("predict", "--no-vad", "--model", loudness_model, "--", "-dash.wav", cwd=folder)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[1].endswith("  -dash.wav")


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])
@pytest.mark.parametrize("output", FORMATS)
def test_a_name_that_is_no_text_can_be_printed(
    emovox: Callable[..., Any], loudness_model: Path, folder: Path, encoding: str, output: str
) -> None:
    shutil.copy(folder / "z.flac", folder / os.fsdecode(b"bad\xff.flac"))
    arguments = ("predict", "--no-vad", "--model", loudness_model, "--format", output, folder)
    result = emovox(*arguments, env={"PYTHONIOENCODING": encoding}, encoding="utf-8")
    assert (result.returncode, result.stderr) == (0, "")
    names = [row["file"] for row in read_rows(output, result.stdout)]
    assert len(names) == 4
    assert Path(names[1]).name.startswith("bad")
    if output.startswith("json"):
        assert [name for name in names if not os.path.exists(name)] == []
    elif encoding == "utf-8:strict":
        assert Path(names[1]).name == "bad\\udcff.flac"


def test_standard_input_is_a_recording(
    emovox: Callable[..., Any], loudness_model: Path, folder: Path
) -> None:
    arguments = ("predict", "--no-vad", "--model", loudness_model, "-")
    with (folder / "z.flac").open("rb") as file:
        result = emovox(*arguments, stdin=file)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[1].split() == ["loud", "0.750", "0.250", "0.750", "-"]
    result = emovox(*arguments, stdin=subprocess.DEVNULL)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("emovox: <stdin>: is empty")


def test_a_phone_s_m4a_is_predicted(
    call: Callable[..., Any], loudness_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "New Recording 7.m4a"
    time_s = np.arange(44_100, dtype=np.float32) / 44_100
    tone = (0.5 * np.sin(2 * np.pi * 300 * time_s)).astype(np.float32)
    with av.open(path, "w") as container:
        stream = container.add_stream("aac", rate=44_100, layout="mono")
        for start in range(0, 44_100, 1_024):
            block = tone[np.newaxis, start : start + 1_024]  # (1, samples)
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44_100, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    answer = call("predict", "--no-vad", "--model", loudness_model, "--format", "json", path)
    assert (answer.status, answer.stderr) == (0, "")
    (row,) = json.loads(answer.stdout)
    assert row["scores"]["loud"] == pytest.approx(0.5 * 2 / np.pi, abs=0.02)


def test_a_reader_that_goes_away_is_no_error_to_print(
    emovox: Callable[..., Any], loudness_model: Path, folder: Path
) -> None:
    for output in ("jsonl", "csv", "table"):
        reading, writing = os.pipe()
        os.close(reading)
        arguments = (
            "predict",
            "--no-vad",
            "--model",
            loudness_model,
            "--format",
            output,
            folder,
            folder,
        )
        with open(writing, "w") as gone:
            result = emovox(*arguments, stdout=gone, capture_output=False, stderr=-1)
        assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.parametrize(("output", "jobs"), [("jsonl", "1"), ("csv", "1"), ("table", "2")])
def test_ctrl_c_keeps_the_finished_lines(
    loudness_model: Path, tmp_path: Path, output: str, jobs: str
) -> None:
    sf.write(tmp_path / "0.flac", 0.5 * np.ones(96_000), 48_000)
    for number in range(1, 3_000):
        os.link(tmp_path / "0.flac", tmp_path / f"{number}.flac")
    arguments = ("--no-vad", "--model", loudness_model, "--format", output, "--jobs", jobs)
    command = [sys.executable, "-m", "emovox", "predict", *map(str, arguments), str(tmp_path)]
    with (tmp_path / "out.txt").open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 30
        while not (tmp_path / "out.txt").stat().st_size and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr == "emovox: interrupted; what was finished is kept\n"
    text = (tmp_path / "out.txt").read_text()
    assert text.endswith("\n")
    assert 0 < len(read_rows(output, text)) < 3_000


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_reported(
    call: Callable[..., Any], loudness_model: Path, folder: Path
) -> None:
    (folder / "z.flac").chmod(0)
    answer = call("predict", "--no-vad", "--model", loudness_model, folder)
    assert answer.status == 1
    assert "Permission denied" in answer.stderr
