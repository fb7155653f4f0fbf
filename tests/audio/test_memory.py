"""Memory is bounded by the samples kept at the wanted rate."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile as sf

pytest.importorskip("resource")

MEASURE = """
import resource, sys, av, soxr
from emovox.audio.load import iterate_audio, load_audio
from emovox.errors import AudioError
load_audio(sys.argv[1], 16_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    n = sum(map(len, iterate_audio(sys.argv[2], 16_000, max_duration_s=1e6)))
except AudioError as error:
    n = error.code
unit = 1 if sys.platform == "darwin" else 1024
print(n, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit / 2**20)
"""


def measure(tone: Path, path: Path) -> tuple[str, float]:
    """Return the number of samples, or an error's code, and the peak in MiB above a short clip."""
    command = [sys.executable, "-c", MEASURE, str(tone), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found, peak_mb = done.stdout.split()
    return found, float(peak_mb)


RECOGNIZE = """
import resource, sys
from emovox import Recognizer
recognizer = Recognizer.load(sys.argv[1], vad=False, max_duration_s=20_000)
recognizer.predict(sys.argv[2])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(recognizer.predict(sys.argv[3]).end_s)
unit = 1 if sys.platform == "darwin" else 1024
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit / 2**20)
"""


@pytest.mark.slow
def test_a_long_recording_takes_no_more_memory_to_recognize(
    loudness_model: Path, tone: Path, tmp_path: Path, voice: Callable[[int, float], Any]
) -> None:
    minute = voice(8_000, 60.0)
    peaks_mb = []
    for minutes in (9, 24):  # 17 and 46 MB as 32-bit floats
        path = tmp_path / f"{minutes}.mp3"
        with sf.SoundFile(path, "w", 8_000, 1, format="MP3") as file:
            for _ in range(minutes):
                file.write(minute)
        command = [sys.executable, "-c", RECOGNIZE, str(loudness_model), str(tone), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        end_s, peak_mb = map(float, done.stdout.split())
        assert end_s == pytest.approx(minutes * 60, abs=0.5)
        peaks_mb.append(peak_mb)
    assert peaks_mb[1] < 60
    assert peaks_mb[1] < peaks_mb[0] + 12


@pytest.mark.slow
def test_a_high_rate_takes_little_memory(tone: Path, tmp_path: Path) -> None:
    path = tmp_path / "high.flac"
    with sf.SoundFile(path, "w", 384_000, 1, subtype="PCM_16") as file:
        for _ in range(120):
            file.write(np.sin(np.arange(384_000) / 50) / 2)
    found, peak_mb = measure(tone, path)  # 184 MB as 32-bit floats
    assert found == str(120 * 16_000)
    assert peak_mb < 60


def test_silence_in_many_channels_is_refused_before_it_is_decoded(
    tone: Path, tmp_path: Path
) -> None:
    ogg = tmp_path / "many.ogg"
    with sf.SoundFile(ogg, "w", 48_000, 255, format="OGG", subtype="VORBIS") as file:
        for _ in range(5):
            file.write(np.zeros((48_000, 255), np.float32))
    with sf.SoundFile(tmp_path / "many.wav", "w", 48_000, 255, subtype="PCM_U8") as file:
        for _ in range(5):
            file.write(np.zeros((48_000, 255), np.float32))
    for path in (ogg, tmp_path / "many.wav"):  # 245 MB as 32-bit floats
        found, peak_mb = measure(tone, path)
        assert found == "audio.bad_channels"
        assert peak_mb < 30


@pytest.mark.slow
def test_silence_in_32_channels_takes_little_memory(tone: Path, tmp_path: Path) -> None:
    path = tmp_path / "many.wav"
    with sf.SoundFile(path, "w", 48_000, 32, subtype="PCM_U8") as file:
        for _ in range(60):
            file.write(np.zeros((48_000, 32), np.float32))
    found, peak_mb = measure(tone, path)  # 369 MB as 32-bit floats
    assert found == str(60 * 16_000)
    assert peak_mb < 100


@pytest.mark.slow
def test_a_long_mp3_takes_little_memory(tone: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.mp3"
    with av.open(path, "w") as opened:
        stream = opened.add_stream("libmp3lame", rate=16_000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        second = (0.5 * np.sin(np.arange(16_000) / 9)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(second[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate = 16_000
        for _ in range(1_200):
            frame.pts = None
            opened.mux(stream.encode(frame))
        opened.mux(stream.encode(None))
    found, peak_mb = measure(tone, path)  # 77 MB as 32-bit floats
    assert int(found) == pytest.approx(1_200 * 16_000, abs=2_000)
    assert peak_mb < 40
