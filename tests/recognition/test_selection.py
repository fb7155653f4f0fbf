"""Other people's channels and tracks, with the speech of the bundled demo and the shipped model."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf

from emovox.audio.load import load_audio
from emovox.demo.clips import read_demo_clips
from emovox.errors import EmovoxError
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import FileFailure, Prediction

RATE_HZ = 16_000
Samples = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(min_confidence=0)


@pytest.fixture(scope="module")
def voices() -> tuple[Samples, Samples]:
    """Return the speech of two people, of equal length."""
    clips = read_demo_clips()
    angry = next(clip for clip in clips if clip.intended == "angry")
    sad = next(clip for clip in clips if clip.intended == "sad")
    first, second = (load_audio(clip.path, RATE_HZ).samples for clip in (angry, sad))
    length = max(len(first), len(second))
    return (
        np.pad(first, (0, length - len(first))),
        np.pad(second, (0, length - len(second))),
    )


def predict(recognizer: Recognizer, *channels: Samples, **options: Any) -> Prediction:
    return recognizer.predict(np.stack(channels, axis=1), rate_hz=RATE_HZ, **options)


def expect_same(found: Prediction, expected: Prediction, tolerance: float = 0.0) -> None:
    assert found.scores is not None
    assert expected.scores is not None
    for label, score in expected.scores.items():
        assert found.scores[label] == pytest.approx(score, abs=tolerance)


def test_opposite_phase_is_heard_and_noted(
    recognizer: Recognizer, voices: tuple[Samples, Samples]
) -> None:
    alone = recognizer.predict(voices[0], rate_hz=RATE_HZ)
    found = predict(recognizer, voices[0], -voices[0])
    expect_same(found, alone)
    assert "opposite phase" in found.notes[0]


def test_noise_on_one_channel_does_not_hide_speech_on_the_other(
    recognizer: Recognizer, voices: tuple[Samples, Samples]
) -> None:
    voice = voices[0]
    noise = 0.3 * np.abs(voice).max() * np.random.default_rng(0).standard_normal(len(voice))
    alone = recognizer.predict(voice, rate_hz=RATE_HZ)
    for channels in ((voice, noise), (noise, voice)):
        found = predict(recognizer, *(channel.astype(np.float32) for channel in channels))
        expect_same(found, alone)
        assert "left out, since no speech was detected" in found.notes[0]


def test_one_silent_channel_is_only_quieter(
    recognizer: Recognizer, voices: tuple[Samples, Samples]
) -> None:
    found = predict(recognizer, voices[0], 0 * voices[0])
    expect_same(found, recognizer.predict(voices[0] / 2, rate_hz=RATE_HZ))
    assert found.notes == ()


def test_two_speakers_are_mixed_with_a_note_or_predicted_one_by_one(
    recognizer: Recognizer, voices: tuple[Samples, Samples]
) -> None:
    mixed = predict(recognizer, *voices)
    assert "hold different speech and were mixed" in mixed.notes[0]
    assert mixed.channel is None
    pair = (np.stack(voices, axis=1), RATE_HZ)
    for jobs in (1, 2):
        each = list(recognizer.predict_many([pair, pair], channel="each", jobs=jobs))
        assert [found.channel for found in each if isinstance(found, Prediction)] == [1, 2, 1, 2]
    for number, name in ((1, "left"), (2, "right")):
        found = predict(recognizer, *voices, channel=name)
        expect_same(found, recognizer.predict(voices[number - 1], rate_hz=RATE_HZ))
        assert (found, found.channel, found.notes) == (each[number - 1], number, ())
    with pytest.raises(EmovoxError, match="channel is 'each'.*use predict_many"):
        predict(recognizer, *voices, channel="each")


def test_a_channel_that_is_not_there_is_one_failure(
    recognizer: Recognizer, voices: tuple[Samples, Samples]
) -> None:
    pairs = [(voices[0], RATE_HZ), (np.stack(voices, axis=1), RATE_HZ)]
    failure, found = recognizer.predict_many(pairs, channel="right")
    assert isinstance(failure, FileFailure)
    assert failure.code == "audio.no_channel"
    assert isinstance(found, Prediction)
    with pytest.raises(EmovoxError, match="the channel is 'middle'"):
        list(recognizer.predict_many(pairs, channel="middle"))


def write_tracks(path: Path, tracks: list[Samples]) -> None:
    """Write an MP4, as a screen recorder does."""
    with av.open(path, "w") as container:
        streams = [container.add_stream("aac", rate=RATE_HZ, layout="mono") for _ in tracks]
        for stream, samples in zip(streams, tracks, strict=True):
            frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="fltp", layout="mono")
            frame.sample_rate = RATE_HZ
            container.mux([*stream.encode(frame), *stream.encode(None)])


def test_the_first_track_with_speech_is_used_and_named(
    recognizer: Recognizer, voices: tuple[Samples, Samples], tmp_path: Path
) -> None:
    path = tmp_path / "screen.mp4"
    hum = (0.2 * np.sin(np.arange(len(voices[0])) / 50)).astype(np.float32)
    for first in (0 * hum, hum):
        write_tracks(path, [first, voices[0]])
        found = recognizer.predict(path)
        expect_same(found, recognizer.predict(voices[0], rate_hz=RATE_HZ), 0.1)
        assert "track 2 of 2 was used (the first with speech; track 1 has none)" in found.notes[0]
        assert recognizer.predict(path, track=1).abstained == "no speech"
        assert recognizer.predict(path, track=2).notes == ()


@pytest.mark.corpus
def test_stereo_clips_of_ravdess_are_mixed_as_before(recognizer: Recognizer, ravdess: Path) -> None:
    stereo = [
        path
        for path in sorted((ravdess / "ravdess" / "speech").rglob("*.flac"))
        if sf.info(path).channels == 2
    ]
    assert len(stereo) == 5
    for path in stereo:
        samples, rate_hz = sf.read(path, dtype="float32")
        mean = samples.mean(axis=1, dtype=np.float32)
        found = recognizer.predict(path)
        expect_same(found, recognizer.predict(mean, rate_hz=rate_hz))
        assert found.notes == ()
