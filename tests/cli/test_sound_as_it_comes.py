"""Other people's recordings, as public bug reports describe them, from the command line."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from emovox.audio.load import load_audio

from .conftest import Call

Samples = NDArray[np.float32]

RATE_HZ = 48_000


@pytest.fixture(scope="module")
def angry(reference_clips: Path) -> Samples:
    return load_clip(reference_clips, "Actor_03/03-01-05-02-01-01-03.opus")


@pytest.fixture(scope="module")
def calm(reference_clips: Path) -> Samples:
    return load_clip(reference_clips, "Actor_04/03-01-02-01-01-01-04.opus")


@pytest.fixture
def predict(call: Call) -> Callable[..., list[dict[str, Any]]]:
    """Return a function that predicts files from the command line."""

    def run(*args: str | Path) -> list[dict[str, Any]]:
        answer = call("predict", *args, "--format", "jsonl")
        return [json.loads(line) for line in answer.stdout.splitlines()]

    return run


def load_clip(folder: Path, name: str) -> Samples:
    return load_audio(folder / name, RATE_HZ).samples


def write(path: Path, samples: NDArray[Any], subtype: str = "FLOAT") -> Path:
    sf.write(path, samples, RATE_HZ, subtype=subtype)
    return path


def encode(
    path: Path,
    codec: str,
    tracks: list[Samples],
    *,
    rate_hz: int = RATE_HZ,
    quality: int | None = None,
) -> Path:
    """Encode each track in turn into the container that the ending names."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream(codec, rate=rate_hz, layout="mono") for _ in tracks]
        for stream, samples in zip(streams, tracks, strict=True):
            assert isinstance(stream, av.AudioStream)
            context = stream.codec_context
            if quality is not None:
                context.qscale = True
                context.global_quality = quality * 118
            frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="fltp", layout="mono")
            frame.sample_rate = RATE_HZ
            resampler = av.AudioResampler(
                format=context.format,
                layout="mono",
                rate=rate_hz,
                frame_size=context.frame_size or None,
            )
            for piece in (*resampler.resample(frame), *resampler.resample(None)):
                container.mux(stream.encode(piece))
            container.mux(stream.encode(None))
    return path


def add_click(samples: Samples) -> Samples:
    click = np.hanning(RATE_HZ // 500).astype(np.float32)
    clicked = samples.copy()
    at = len(samples) - RATE_HZ // 5
    clicked[at : at + len(click)] += np.float32(10 * np.abs(samples).max()) * click
    return np.asarray(clicked / np.abs(clicked).max(), np.float32)


def settle(samples: Samples) -> Samples:
    time_s = np.arange(len(samples)) / RATE_HZ
    return samples + (0.2 * np.exp(-5 * time_s)).astype(np.float32)


def test_below_speech_and_beside_it_nothing_moves_the_answer(
    angry: Samples, tmp_path: Path, predict: Callable[..., list[dict[str, Any]]]
) -> None:
    kinds = {f"offset {x}": angry + np.float32(x) for x in (0.005, 0.01, 0.02, 0.05, 0.3)}
    kinds |= {"plain": angry, "settling offset": settle(angry), "click": add_click(angry)}
    files = {name: write(tmp_path / f"{name}.wav", samples) for name, samples in kinds.items()}
    found = dict(zip(files, predict(*files.values()), strict=True))
    assert {entry["emotion"] for entry in found.values()} == {"angry"}
    for name, entry in found.items():
        if name.startswith("offset"):
            expected = pytest.approx(found["plain"]["scores"], abs=0.02)
            assert entry["scores"] == expected, name


def test_channels_and_tracks_that_hold_the_speech_are_heard(
    angry: Samples, tmp_path: Path, predict: Callable[..., list[dict[str, Any]]]
) -> None:
    noise = 0.3 * np.abs(angry).max() * np.random.default_rng(0).standard_normal(len(angry))
    silence = np.zeros_like(angry)
    files = [
        write(tmp_path / "opposite.wav", np.stack([angry, -angry], axis=1)),
        write(tmp_path / "noise.wav", np.stack([angry, noise], axis=1)),
        write(tmp_path / "silent.wav", np.stack([silence, angry], axis=1)),
        encode(tmp_path / "two_tracks.mp4", "aac", [silence, angry]),
    ]
    found = predict(*files)
    assert [entry["emotion"] for entry in found] == ["angry"] * 4
    notes = ["; ".join(entry["notes"]) for entry in found]
    assert "opposite phase" in notes[0]
    assert "left out" in notes[1]
    assert "track 2" in notes[3]
    (first,) = predict(files[3], "--track", "1")
    assert first["abstained"] == "no speech"


def test_two_speakers_on_two_channels_are_heard_apart(
    angry: Samples, calm: Samples, tmp_path: Path, predict: Callable[..., list[dict[str, Any]]]
) -> None:
    n_samples = max(len(angry), len(calm))
    both = np.stack([np.pad(x, (0, n_samples - len(x))) for x in (angry, calm)], axis=1)
    path = write(tmp_path / "call.wav", both)
    (mixed,) = predict(path)
    assert "different" in "; ".join(mixed["notes"])
    found = predict(path, "--channel", "each")
    assert [entry["channel"] for entry in found] == [1, 2]
    alone = [predict(write(tmp_path / f"{i}.wav", x))[0] for i, x in enumerate((angry, calm))]
    for entry, expected in zip(found, alone, strict=True):
        assert entry["emotion"] == expected["emotion"]
        assert entry["scores"] == pytest.approx(expected["scores"], abs=0.05)
    assert found[0]["emotion"] == "angry"
    assert found[1]["scores"]["angry"] < 0.1


def test_too_little_speech_gets_no_emotion(
    angry: Samples, tmp_path: Path, predict: Callable[..., list[dict[str, Any]]]
) -> None:
    start = round(1.4 * RATE_HZ)
    for duration_s in (0.1, 0.2, 0.3, 0.4):
        part = angry[start : start + round(duration_s * RATE_HZ)]
        (found,) = predict(write(tmp_path / "short.wav", part))
        assert found["emotion"] is None
        assert found["abstained"] in ("too short", "no speech")


def test_joined_clips_are_answered_as_the_clips_are(
    reference_clips: Path, tmp_path: Path, predict: Callable[..., list[dict[str, Any]]]
) -> None:
    clips = sorted((reference_clips / "Actor_03").glob("03-01-05-*.opus"))[:6]
    joined = np.concatenate([load_audio(clip, RATE_HZ).samples for clip in clips])
    (found,) = predict(write(tmp_path / "joined.wav", joined))
    assert found["emotion"] == "angry"


def test_headers_that_lie_are_not_believed(
    angry: Samples, tmp_path: Path, predict: Callable[..., list[dict[str, Any]]]
) -> None:
    pcm = (angry * 32_767).astype("<i2").tobytes()
    layout = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE_HZ, 2 * RATE_HZ, 2, 16)
    piped = tmp_path / "arecord.wav"
    piped.write_bytes(
        b"RIFF"
        + struct.pack("<I", 0x80000024)
        + b"WAVE"
        + layout
        + b"data"
        + struct.pack("<I", 0x80000000)
        + pcm
    )
    files = [
        piped,
        encode(tmp_path / "mp3.wav", "libmp3lame", [angry], rate_hz=16_000, quality=6),
        encode(tmp_path / "alac.caf", "alac", [angry], rate_hz=16_000),
    ]
    for path, found in zip(files, predict(*files), strict=True):
        assert found["emotion"] == "angry", path
        assert found["end_s"] == pytest.approx(len(angry) / RATE_HZ, abs=0.15)


def test_samples_without_a_header_are_read_by_rate_and_format(
    angry: Samples, tmp_path: Path, predict: Callable[..., list[dict[str, Any]]]
) -> None:
    path = tmp_path / "headerless.raw"
    path.write_bytes((angry * 32_767).astype("<i2").tobytes())
    (refused,) = predict(path)
    assert "--raw-rate" in refused["error"]
    (found,) = predict(path, "--raw-rate", str(RATE_HZ))
    assert found["emotion"] == "angry"
