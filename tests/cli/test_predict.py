"""``emovox predict`` as a user runs it."""

import contextlib
import csv
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import av
import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray
from rich.cells import cell_len

from emovox.wording import make_printable

FORMATS = ("table", "json", "jsonl", "csv")


def make_square(value: float, duration_s: float, rate_hz: int = 8_000) -> NDArray[np.float64]:
    """Make a square wave: its mean magnitude is the value."""
    return value * np.where(np.arange(round(duration_s * rate_hz)) // 20 % 2, 1.0, -1.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with three square waves, of loudness 0.25, 0.5 and 0.75."""
    folder = tmp_path / "my recordings"
    folder.mkdir()
    for name, value in (("-dash.wav", 0.25), ("ü 日本 [red].wav", 0.5), ("z.flac", 0.75)):
        sf.write(folder / name, make_square(value, 0.75), 8_000)
    return folder


def read_rows(output: str, text: str) -> list[dict[str, Any]]:
    """Read what a format printed back, as file, emotion, confidence and P(loud), or the error."""
    found: list[dict[str, Any]]
    if output == "json":
        found = json.loads(text)
    elif output == "jsonl":
        found = [json.loads(line) for line in text.splitlines()]
    elif output == "csv":
        found = list(csv.DictReader(io.StringIO(text)))
        assert all(len(row) == 12 for row in found)
        found = [
            {"file": row["file"], "error": row["error"], "code": row["error_code"]}
            if row["error"]
            else {
                **{key: row[key] for key in ("file", "emotion", "confidence")},
                "scores": {"loud": float(row["loud"])},
            }
            for row in found
        ]
    else:
        header, *lines = text.splitlines()
        assert header.split() == ["emotion", "confidence", "runner-up", "file"]
        cells = [line.split(maxsplit=4) for line in lines]
        found = [
            {"emotion": e, "confidence": c, "scores": {second: float(p), e: float(c)}, "file": f}
            for e, c, second, p, f in cells
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
    names = "file start_s end_s emotion confidence scores abstained channel notes"
    assert list(row) == names.split()
    assert (row["channel"], row["notes"]) == (None, [])
    assert (row["start_s"], row["end_s"], row["abstained"]) == (0, 0.75, None)
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
    assert failed == ([] if output == "table" else ["broken.wav", "missing.wav"])
    codes = [row["code"] for row in rows if "error" in row]
    assert codes == ([] if output == "table" else ["audio.unknown_format", "audio.not_found"])
    broken, missing = answer.stderr.splitlines()
    assert broken.startswith(f"emovox: {folder / 'broken.wav'}: is damaged, or not audio")
    assert missing == f"emovox: {folder / 'missing.wav'}: no such file; check the path"


@pytest.mark.parametrize("output", ["json", "jsonl", "csv"])
def test_where_every_file_fails_the_output_is_still_of_its_format(
    call: Callable[..., Any], loudness_model: Path, output: str
) -> None:
    answer = call("predict", "--no-vad", "--model", loudness_model, "--format", output, "none.wav")
    assert answer.status == 1
    (row,) = read_rows(output, answer.stdout)
    assert row["file"] == "none.wav"
    assert row["error"] == "none.wav: no such file; check the path"
    assert row["code"] == "audio.not_found"


def test_where_every_file_fails_the_table_is_empty(
    call: Callable[..., Any], loudness_model: Path
) -> None:
    answer = call("predict", "--no-vad", "--model", loudness_model, "none.wav")
    assert (answer.status, answer.stdout) == (1, "")


def test_longer_recordings_are_taken_when_asked(
    call: Callable[..., Any], loudness_model: Path, tmp_path: Path
) -> None:
    sf.write(tmp_path / "long.wav", make_square(0.5, 301, 1_000), 1_000)
    arguments = ("predict", "--no-vad", "--model", loudness_model, "--format", "json")
    answer = call(*arguments, tmp_path / "long.wav")
    assert answer.status == 1
    assert "lasts 301.00 s, expected at most 300 s" in answer.stderr
    assert "emovox predict --max-duration" in answer.stderr
    answer = call(*arguments, "--max-duration", "400", tmp_path / "long.wav")
    assert answer.status == 0
    assert json.loads(answer.stdout)[0]["end_s"] == 301


def test_files_folders_and_repeats_keep_the_order_given(
    call: Callable[..., Any], loudness_model: Path, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    arguments = ("predict", "--no-vad", "--model", loudness_model, "--format", "csv", "--jobs", "2")
    single = folder / "z.flac"
    answer = call(*arguments, single, single, folder, tmp_path / "empty", single)
    rows = read_rows("csv", answer.stdout)
    names = [Path(row["file"]).name for row in rows]
    assert names == ["z.flac"] * 2 + ["-dash.wav", "z.flac", "ü 日本 [red].wav", "empty", "z.flac"]
    assert rows[5]["code"] == "audio.no_files"
    assert answer.status == 1
    assert "empty: contains no audio files" in answer.stderr


def test_silence_and_doubt_are_said(
    call: Callable[..., Any], loudness_model: Path, folder: Path, tmp_path: Path
) -> None:
    sf.write(tmp_path / "silence.wav", np.zeros(800), 8_000)
    arguments = ("predict", "--no-vad", "--model", loudness_model, "--min-confidence", "0.7")
    files = (tmp_path / "silence.wav", folder / "ü 日本 [red].wav", folder / "z.flac")
    rows = json.loads(call(*arguments, "--format", "json", *files).stdout)
    assert [row["abstained"] for row in rows] == ["no speech", "uncertain", None]
    assert [row["emotion"] for row in rows] == [None, None, "loud"]
    assert [row["confidence"] for row in rows] == [None, pytest.approx(0.5), pytest.approx(0.75)]
    scores = [row["scores"] for row in rows][::2]
    assert scores == [None, pytest.approx({"quiet": 0.25, "loud": 0.75})]
    lines = call(*arguments, *files).stdout.splitlines()
    assert [line[:39].split() for line in lines] == [
        ["emotion", "confidence", "runner-up"],
        ["no", "speech", "-", "-"],
        ["uncertain", "0.500", "quiet", "0.500"],
        ["loud", "0.750", "quiet", "0.250"],
    ]
    assert {line[40:] for line in lines} == {"file", *map(str, files)}


def test_the_table_fits_80_columns_beside_a_short_name(
    emovox: Callable[..., Any], folder: Path
) -> None:
    result = emovox("predict", "--no-vad", "--min-confidence", "0", "z.flac", cwd=folder)
    head, line = result.stdout.splitlines()
    assert head == "emotion    confidence  runner-up        file"
    assert line.index("z.flac") == head.index("file") == 40


def test_a_piped_table_has_the_whole_name_without_colour_on_one_line(
    call: Callable[..., Any], loudness_model: Path, folder: Path, tmp_path: Path
) -> None:
    deep = tmp_path / ("long" * 30) / "two\nlines\x1b[31m\t.flac"
    deep.parent.mkdir()
    shutil.copy(folder / "z.flac", deep)
    answer = call("predict", "--no-vad", "--model", loudness_model, deep)
    _, line = answer.stdout.splitlines()
    assert line[40:] == f"{deep.parent}/two\\nlines\\x1b[31m\\t.flac"
    assert "\x1b" not in answer.stdout


@pytest.mark.parametrize("spelling", ["JSON", "Json", "CSV", "Table"])
def test_a_format_may_be_in_capitals(
    call: Callable[..., Any], loudness_model: Path, folder: Path, spelling: str
) -> None:
    arguments = ("predict", "--no-vad", "--model", loudness_model, "--format")
    answer = call(*arguments, spelling, folder)
    assert answer.status == 0
    assert answer.stdout == call(*arguments, spelling.lower(), folder).stdout


def test_files_go_in_natural_order_and_others_are_counted(
    call: Callable[..., Any], loudness_model: Path, folder: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for number in (1, 2, 10, 100):
        shutil.copy(folder / "z.flac", mine / f"clip_{number}.flac")
    for name in ("notes.txt", "list.TXT", "README", ".hidden"):
        (mine / name).touch()
    answer = call("predict", "--no-vad", "--model", loudness_model, "--format", "csv", mine)
    rows = read_rows("csv", answer.stdout)
    assert [Path(row["file"]).stem for row in rows] == ["clip_1", "clip_2", "clip_10", "clip_100"]
    assert answer.status == 0
    expected = f"emovox: {mine}: 3 other files skipped (2 .txt, 1 without suffix)\n"
    assert answer.stderr == expected


def test_a_folder_with_nothing_to_hear_says_what_is_in_it(
    call: Callable[..., Any], loudness_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.xyz").touch()
    answer = call("predict", "--no-vad", "--model", loudness_model, tmp_path / "mine")
    assert (answer.status, answer.stdout) == (1, "")
    passed_over, failure = answer.stderr.splitlines()
    assert passed_over.endswith("mine: 1 other file skipped (1 .xyz)")
    assert "mine: contains no audio files" in failure


def run_on_terminal(command: list[str], *, stdout_too: bool) -> tuple[str, str]:
    """Run a command whose stderr, and perhaps stdout, is a terminal; return that and the pipe."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "60", "TERM": "xterm", "NO_COLOR": ""}
    stdout = theirs if stdout_too else subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=stdout, stderr=theirs) as process:
        os.close(theirs)
        seen = []
        with contextlib.suppress(OSError):  # Linux' way to say that the other end is closed
            while chunk := os.read(ours, 4096):
                seen.append(chunk)
        piped = process.stdout.read() if process.stdout else b""
    os.close(ours)
    return b"".join(seen).decode(), piped.decode()


@pytest.mark.parametrize("output", ["table", "json"])
def test_a_terminal_shows_progress_and_a_table_in_colour(
    loudness_model: Path, folder: Path, output: str
) -> None:
    (folder / "broken.wav").write_bytes(b"no audio")
    command = [sys.executable, "-m", "emovox", "predict", "--no-vad", "--format", output]
    seen, _ = run_on_terminal(
        [*command, "--model", str(loudness_model), str(folder)], stdout_too=True
    )
    assert "recordings" in seen
    assert "4/4" in seen
    assert "is damaged, or not audio" in seen
    if output == "json":
        assert len(json.loads(seen[seen.index("[\r\n") :])) == 4
        return
    assert "\x1b[1;32mquiet      \x1b[0m" in seen
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
    rows = [row for row in re.split(r"[\r\n]+", plain) if row.startswith(("quiet", "loud"))]
    assert [row[:5].strip() for row in rows][:2] == ["quiet", "loud"]
    assert len(rows) == 3
    # A path too long for the screen loses its beginning.
    assert all(row[40] == "…" and row.endswith((".wav", ".flac")) for row in rows)
    assert all(cell_len(row) <= 60 for row in rows)


def test_progress_stays_out_of_a_pipe(loudness_model: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "emovox", "predict", "--no-vad", "--format", "csv"]
    seen, piped = run_on_terminal(
        [*command, "--model", str(loudness_model), str(folder)], stdout_too=False
    )
    assert "3/3" in seen
    assert len(read_rows("csv", piped)) == 3
    assert "\x1b" not in piped


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
    assert result.stdout.splitlines()[1].endswith(" -dash.wav")


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
    if output == "table":
        assert names[1].endswith("/bad\\udcff.flac")
    else:
        assert names[1].endswith("/bad%FF.flac")
        assert [name for name in names if not os.path.exists(find_named(name))] == []


def find_named(name: str) -> str:
    """Return the path that CSV or JSON names, as docs/command-line.md says."""
    url = urlsplit(name)
    return os.fsdecode(unquote_to_bytes(url.path)) if url.scheme == "file" else name


@pytest.mark.parametrize("output", ["csv", "json", "jsonl"])
def test_odd_names_in_csv_and_json_are_found_again(
    call: Callable[..., Any],
    loudness_model: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    output: str,
) -> None:
    odd = ["two\nlines", "\x1b[31mred\x1b[0m", "\u202egpj.evil", "tab\tand\rreturn", "\x9b31m"]
    odd += ["not\udcfftext", "file:"]
    plain = ["größe 100% äöü", 'comma, and "quotes"', "नमस्ते\u200d", "back\\slash %41"]
    paths = [f"{name}.flac" for name in (*odd, *plain)]
    work = folder.parent / "odd"
    work.mkdir()
    for path in paths:
        shutil.copy(folder / "z.flac", work / path)
    options = ("--no-vad", "--model", loudness_model, "--format", output)
    monkeypatch.chdir(work)
    answer = call("predict", *options, *paths)
    assert (answer.status, answer.stderr) == (0, "")
    assert not [line for line in answer.stdout.split("\n") if make_printable(line) != line]
    names = [row["file"] for row in read_rows(output, answer.stdout)]
    assert [os.path.relpath(find_named(name)) for name in names] == paths
    assert names[len(odd) :] == paths[len(odd) :]
    answer.stdout.encode("utf-8")


@pytest.mark.parametrize("output", FORMATS)
def test_an_error_names_an_odd_file_on_one_line(
    call: Callable[..., Any], loudness_model: Path, tmp_path: Path, output: str
) -> None:
    path = tmp_path / "\x1b]0;owned\x07\n\u202ea.flac"
    path.write_bytes(b"no audio")
    answer = call("predict", "--model", loudness_model, "--format", output, path)
    (line,) = answer.stderr.splitlines()
    assert line.startswith(f"emovox: {tmp_path}/\\x1b]0;owned\\x07\\n\\u202ea.flac: ")
    assert not [c for c in answer.stdout if c != "\n" and make_printable(c) != c]


def test_a_usage_error_does_not_control_the_terminal(call: Callable[..., Any]) -> None:
    answer = call("explain", "a.wav", "\x1b[31mb.wav")
    assert answer.status == 2
    assert "\x1b" not in answer.stderr
    assert "\\x1b[31mb.wav" in answer.stderr


def test_standard_input_is_a_recording(
    emovox: Callable[..., Any], loudness_model: Path, folder: Path
) -> None:
    arguments = ("predict", "--no-vad", "--model", loudness_model, "-")
    with (folder / "z.flac").open("rb") as file:
        result = emovox(*arguments, stdin=file)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[1].split() == ["loud", "0.750", "quiet", "0.250", "-"]
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
    sf.write(tmp_path / "0.flac", make_square(0.6, 2, 48_000), 48_000)
    for number in range(1, 3_000):
        os.link(tmp_path / "0.flac", tmp_path / f"{number}.flac")
    arguments = ("--no-vad", "--model", loudness_model, "--format", output, "--jobs", jobs)
    command = [sys.executable, "-m", "emovox", "predict", *map(str, arguments), str(tmp_path)]
    # More than a pipe holds: the command waits for its reader, so it cannot finish meanwhile.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        # The first recording is done once its row, behind a head but for JSON Lines, is here.
        text = "".join(process.stdout.readline() for _ in range(1 if output == "jsonl" else 2))
        process.send_signal(signal.SIGINT)
        rest, stderr = process.communicate(timeout=60)
    text += rest
    assert process.returncode == 130
    assert stderr == "emovox: interrupted; what was finished is kept\n"
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


def write_stereo(path: Path, *levels: float) -> None:
    """Write a second of a tone at 8 kHz, at a level for each channel."""
    tone = np.sin(2 * np.pi * 300 * np.arange(8_000) / 8_000)
    sf.write(path, np.stack([level * tone for level in levels], axis=1), 8_000)


def test_a_channel_can_be_chosen_and_each_is_labelled(
    call: Callable[..., Any], loudness_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "call.wav"
    write_stereo(path, 0.8, 0.4)
    arguments = ("predict", "--no-vad", "--model", loudness_model, path, "--channel")
    for channel, peak in (("left", 0.8), ("2", 0.4), ("mix", 0.6)):
        (row,) = json.loads(call(*arguments, channel, "--format", "json").stdout)
        assert row["scores"]["loud"] == pytest.approx(peak * 2 / np.pi, abs=1e-3)
    for output in FORMATS:
        rows = read_rows(output, call(*arguments, "each", "--format", output).stdout)
        assert len(rows) == 2
    rows = list(csv.DictReader(io.StringIO(call(*arguments, "each", "--format", "csv").stdout)))
    assert [row["channel"] for row in rows] == ["1", "2"]
    lines = call(*arguments, "each").stdout.splitlines()
    assert [line[40:] for line in lines[1:]] == [f"{path} (channel 1)", f"{path} (channel 2)"]
    answer = call(*arguments, "3")
    assert (answer.status, answer.stdout) == (1, "")
    assert "has 2 channels, expected at least 3; choose another channel" in answer.stderr
    answer = call(*arguments, "middle")
    assert answer.status == 1
    assert "expected mix, left, right, each, or a number from 1" in answer.stderr


def test_notes_are_on_stderr_and_in_the_rows(
    call: Callable[..., Any], loudness_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "wired.wav"
    write_stereo(path, 0.5, -0.5)
    arguments = ("predict", "--no-vad", "--model", loudness_model, path, "--format")
    note = "channel 2 was of opposite phase to the loudest and inverted before mixing"
    answer = call(*arguments, "json")
    assert (answer.status, answer.stderr) == (0, f"emovox: {path}: note: {note}\n")
    assert json.loads(answer.stdout)[0]["notes"] == [note]
    (row,) = csv.DictReader(io.StringIO(call(*arguments, "csv").stdout))
    assert (row["notes"], row["channel"]) == (note, "")


def test_a_track_can_be_chosen(
    call: Callable[..., Any], loudness_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "screen.mkv"
    tone = np.sin(2 * np.pi * 300 * np.arange(8_000) / 8_000).astype(np.float32)
    with av.open(path, "w") as container:
        streams = [container.add_stream("pcm_f32le", rate=8_000, layout="mono") for _ in range(2)]
        for stream, level in zip(streams, (0.0, 0.5), strict=True):
            frame = av.AudioFrame.from_ndarray(
                (level * tone)[np.newaxis], format="flt", layout="mono"
            )
            frame.sample_rate = 8_000
            container.mux([*stream.encode(frame), *stream.encode(None)])
    arguments = ("predict", "--no-vad", "--model", loudness_model, path, "--format", "json")
    answer = call(*arguments)
    (row,) = json.loads(answer.stdout)
    assert row["scores"]["loud"] == pytest.approx(1 / np.pi, abs=1e-3)
    assert "screen.mkv: note: track 2 of 2 was used" in answer.stderr
    answer = call(*arguments, "--track", "1")
    assert json.loads(answer.stdout)[0]["abstained"] == "no speech"
    assert answer.stderr == ""
    answer = call(*arguments, "--track", "3")
    assert (answer.status, json.loads(answer.stdout)[0]["code"]) == (1, "audio.no_track")


def test_samples_without_a_header_are_predicted(
    call: Callable[..., Any], loudness_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "dump.raw"
    tone = np.sin(2 * np.pi * 300 * np.arange(8_000) / 8_000)
    path.write_bytes((16_384 * tone).astype(">i2").tobytes())
    arguments = ("predict", "--no-vad", "--model", loudness_model, path)
    answer = call(*arguments)
    assert answer.status == 1
    assert "--raw-rate and --raw-format" in answer.stderr
    options = ("--raw-rate", "8000", "--raw-format", "s16be", "--format", "json")
    (row,) = json.loads(call(*arguments, *options).stdout)
    assert row["scores"]["loud"] == pytest.approx(1 / np.pi, abs=1e-3)
    assert row["end_s"] == 1
    (row,) = json.loads(call(*arguments, *options, "--raw-channels", "2").stdout)
    assert row["end_s"] == 0.5
    answer = call(*arguments, "--raw-format", "s16be")
    assert answer.status == 2
    assert "also need --raw-rate" in answer.stderr
    answer = call(*arguments, "--raw-rate", "8000", "--raw-format", "mp3")
    assert (answer.status, answer.stderr.startswith("emovox: the sample format is 'mp3'")) == (
        1,
        True,
    )


def test_a_folder_passes_over_nothing_that_can_be_decoded(
    call: Callable[..., Any], loudness_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    tone = np.sin(2 * np.pi * 300 * np.arange(16_000) / 16_000).astype(np.float32)
    for suffix in ("m4a", "mkv", "mov", "3gp"):
        with av.open(folder / f"a.{suffix}", "w") as container:
            stream = container.add_stream("aac", rate=16_000, layout="mono")
            frame = av.AudioFrame.from_ndarray(tone[np.newaxis], format="fltp", layout="mono")
            frame.sample_rate = 16_000
            container.mux([*stream.encode(frame), *stream.encode(None)])
    (folder / "b.txt").touch()
    answer = call("predict", "--no-vad", "--model", loudness_model, folder, "--format", "csv")
    assert answer.status == 0
    names = [Path(row["file"]).name for row in read_rows("csv", answer.stdout)]
    assert names == ["a.3gp", "a.m4a", "a.mkv", "a.mov"]
    assert answer.stderr == f"emovox: {folder}: 1 other file skipped (1 .txt)\n"
