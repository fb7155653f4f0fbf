"""``emovox listen`` as a user runs it, from a file, and with a made microphone."""

import io
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from rich.console import Console

from emovox.cli import listen as listen_module
from emovox.cli.live_view import LiveView
from emovox.recognition.results import Prediction, Scores
from emovox.recognition.stream import StreamUpdate

Call = Callable[..., Any]
RATE_HZ = 8_000


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Return 4 s of a loud tone, 4 s of silence, and 4 s of a quiet tone."""
    tone = np.sin(2 * np.pi * 300 * np.arange(32_000) / RATE_HZ)
    path = tmp_path / "my call.wav"
    sf.write(path, np.concatenate([0.95 * tone, np.zeros(32_000), 0.2 * tone]), RATE_HZ)
    return path


@pytest.fixture
def listen(call: Call, loudness_model: Path) -> Call:
    return lambda *args: call("listen", "--no-vad", "--model", loudness_model, *args)


def test_a_file_takes_the_path_of_a_microphone(listen: Call, recording: Path) -> None:
    answer = listen("--from", recording, "--fast")
    assert (answer.status, answer.stderr) == (0, "")
    *rows, summary = answer.stdout.splitlines()
    assert [row.split() for row in rows] == [
        ["0:00:00.0", "0:00:04.1", "loud", "0.598"],
        ["0:00:04.1", "0:00:07.9", "no", "speech", "-"],
        ["0:00:07.9", "0:00:12.0", "quiet", "0.874"],
    ]
    assert summary == "12.0 s, of which 8.1 s are speech: loud 4.1 s, quiet 4.1 s"
    assert max(map(len, rows)) <= 80


def test_programs_read_updates_and_segments(listen: Call, recording: Path) -> None:
    lines = listen("--from", recording, "--fast", "--format", "jsonl").stdout.splitlines()
    found = [json.loads(line) for line in lines]
    updates = [result for result in found if result["type"] == "update"]
    assert [update["time_s"] for update in updates] == [0.5 * n for n in range(1, 25)]
    assert updates[3]["emotion"] == "loud"
    assert updates[12]["abstained"] == "no speech"
    assert updates[3]["level_dbfs"] == pytest.approx(20 * np.log10(0.95 / np.sqrt(2)), abs=0.01)
    segments = [result for result in found if result["type"] == "segment"]
    assert [segment["emotion"] for segment in segments] == ["loud", None, "quiet"]
    assert "scores" in segments[0]
    assert listen("--from", recording, "--fast", "--hop", "4").status == 0


def test_ctrl_c_ends_with_a_summary(
    listen: Call, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 30:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("emovox.cli.listen.time.sleep", wait)
    answer = listen("--from", recording)
    assert answer.status == 0
    assert answer.stdout.splitlines()[-1] == "3.0 s, of which 3.0 s are speech: loud 3.0 s"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--fast"], "--fast needs --from"),
        (["--from", "a.wav", "--device", "1"], "exclude each other"),
        (["--from", "missing.wav"], "no such file"),
    ],
)
def test_what_cannot_be_listened_to_is_one_line(
    listen: Call, args: list[str], message: str
) -> None:
    answer = listen(*args)
    assert answer.status in (1, 2)
    assert message in " ".join(answer.stderr.split())


class MadeSounddevice(ModuleType):
    """Stands for sounddevice: a microphone that gives a loud tone."""

    class PortAudioError(Exception):
        pass

    @staticmethod
    def query_devices(device: Any, kind: str) -> dict[str, Any]:
        if device == 7:
            raise ValueError("Error querying device 7")
        return {"default_samplerate": float(RATE_HZ), "name": f"made {kind}"}

    class InputStream:
        def __init__(self, callback: Any, blocksize: int, **_: Any) -> None:
            self._callback, self._n = callback, blocksize

        def __enter__(self) -> None:
            for at in range(320):  # 32 s: more than may wait
                chunk = np.tile([0.9, 0.9, -0.9, -0.9], self._n // 4).astype("f4")[:, np.newaxis]
                flags = SimpleNamespace(input_overflow=at == 0)
                self._callback(chunk, self._n, None, flags)

        def __exit__(self, *_: Any) -> None:
            pass


@pytest.fixture
def microphone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", MadeSounddevice("sounddevice"))


@pytest.mark.usefixtures("microphone")
def test_a_microphone_is_followed_until_ctrl_c(
    listen: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = listen_module.Summary.add

    def add(self: Any, result: Any) -> None:
        push(self, result)
        if isinstance(result, StreamUpdate) and result.time_s == 29.5:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(listen_module.Summary, "add", add)
    answer = listen()
    assert answer.status == 0
    assert answer.stdout.splitlines()[-1].startswith("29.5 s, of which 29.5 s are speech: loud")
    assert answer.stderr == "emovox: 2.1 s of sound were lost: this computer is too slow\n"


@pytest.mark.usefixtures("microphone")
def test_an_unknown_microphone_is_refused(listen: Call) -> None:
    answer = listen("--device", "7")
    assert answer.status == 1
    assert "the microphone 7 cannot be opened" in answer.stderr


def test_without_the_package_the_extra_is_named(
    listen: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    answer = listen()
    assert (answer.status, "pip install 'emovox[mic]'" in answer.stderr) == (1, True)


def test_without_portaudio_its_package_is_named(
    listen: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    answer = listen()
    assert (answer.status, "apt install libportaudio2" in answer.stderr) == (1, True)


@pytest.mark.parametrize("width", [40, 80])
def test_the_live_view_fits_its_terminal(width: int) -> None:
    view = LiveView("a \x1b[31mmicrophone " + 80 * "x", ("calm", "angry"))
    screen = draw(view, width)
    assert "0:00:00.0" in screen
    scores = Scores({"calm": 0.2, "angry": 0.8})
    view.add(StreamUpdate(1.5, -30.0, "angry", 0.8, scores, None))
    for n in range(9):
        view.add(Prediction(None, n, n + 1, "angry", 0.8, scores))
    screen = draw(view, width)
    lines = screen.splitlines()
    assert max(map(len, lines)) <= width
    if width == 80:
        assert lines[1].split() == ["level", 15 * "#" + 15 * ".", "-30", "dB"]
        assert lines[2].split() == ["angry", 24 * "#" + 6 * ".", "0.800"]
        assert [line.split()[0] for line in lines[4:]] == [f"0:00:0{n}.0" for n in range(3, 9)]
    view.add(StreamUpdate(2.0, -120.0, None, None, None, "no speech"))
    assert "no speech" in draw(view, width)


def draw(view: LiveView, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False)
    console.print(view)
    written = console.file
    assert isinstance(written, io.StringIO)
    assert "\x1b[31m" not in written.getvalue()
    return written.getvalue()
