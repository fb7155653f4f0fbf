"""Voices: enrolled, saved, read back, taken off, refused."""

import json
import pickle
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from emovox.errors import AudioError, EmovoxError, ModelFileError, VoiceError
from emovox.recognition.baselines import MAX_RECORDINGS, _choose
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import FileFailure, Prediction
from emovox.recognition.voice import Voice, hash_values, measure_spread

RATE_HZ = 8_000


def make_tone(level: float, duration_s: float) -> tuple[NDArray[np.float32], int]:
    """Make a square wave whose mean of ``|samples|`` is its level, slowly alternating."""
    n = round(duration_s * RATE_HZ)
    sign = np.where(np.arange(n) // 40 % 2 == 0, 1.0, -1.0)
    return (level * sign).astype(np.float32), RATE_HZ


@pytest.fixture
def recognizer(voice_model: Path) -> Recognizer:
    return Recognizer.load(voice_model, vad=False)


def expect(level: float, baseline: float, weight: float) -> float:
    """Return P(loud) of a level whose speaker's baseline is taken off."""
    return float(1 / (1 + np.exp(-20 * (level - weight * baseline))))


def test_a_voice_is_the_mean_of_its_recordings(recognizer: Recognizer) -> None:
    voice = recognizer.enroll([make_tone(0.2, 2.0), make_tone(0.4, 4.0)])
    np.testing.assert_allclose(voice.reference, [0.3, 0.6], atol=1e-4)
    assert (voice.kind, voice.recordings, voice.windows) == ("neutral", 2, 2)
    assert voice.speech_s == pytest.approx(6.0, abs=0.05)
    assert voice.model == recognizer.model.sha256
    # log P is (0, 20 * level) without its mean: +-2 and +-4, a deviation of 1 in both classes.
    assert voice.spread == pytest.approx(1.0, abs=1e-4)


def test_what_is_taken_off_grows_with_what_is_known(recognizer: Recognizer) -> None:
    clip, rate_hz = make_tone(0.3, 1.0)
    short = recognizer.enroll([make_tone(0.3, 3.5)])
    longer = recognizer.enroll([make_tone(0.3, 2.0)] * 3)
    for voice, weight in ((None, 0.0), (short, 0.4), (longer, 0.6)):
        found = recognizer.predict(clip, rate_hz=rate_hz, voice=voice)
        assert found.scores is not None
        assert found.scores["loud"] == pytest.approx(expect(0.3, 0.3, weight), abs=1e-4)
    # The recogniser itself has not changed.
    assert recognizer.voice is None
    again = recognizer.predict(clip, rate_hz=rate_hz).scores
    assert again is not None
    assert again["loud"] == pytest.approx(expect(0.3, 0.3, 0), abs=1e-4)


def test_every_way_of_predicting_takes_a_voice(recognizer: Recognizer) -> None:
    voice = recognizer.enroll([make_tone(0.3, 2.0)] * 3)
    clip, rate_hz = make_tone(0.2, 2.0)
    expected = expect(0.2, 0.3, 0.6)
    (many,) = recognizer.predict_many([(clip, rate_hz)], voice=voice)
    (segment,) = recognizer.timeline(clip, rate_hz=rate_hz, voice=voice)
    adapted = recognizer.with_voice(voice)
    copied = pickle.loads(pickle.dumps(adapted)).predict(clip, rate_hz=rate_hz)  # noqa: S301
    for found in (many, segment, adapted.predict(clip, rate_hz=rate_hz), copied):
        assert isinstance(found, Prediction)
        assert found.scores is not None
        assert found.scores["loud"] == pytest.approx(expected, abs=1e-4)


def test_a_set_of_unlabelled_recordings_counts_by_its_spread(recognizer: Recognizer) -> None:
    clips = [make_tone(level, 1.0) for level in (0.1, 0.2, 0.3)]
    diverse = recognizer.enroll(clips, neutral=False)
    alike = recognizer.enroll(clips[1:2] * 3, neutral=False)
    assert (diverse.kind, diverse.recordings, alike.spread) == ("unlabelled", 3, 0.0)
    clip, rate_hz = make_tone(0.3, 1.0)
    for voice, weight in ((diverse, 1.0 / 2), (alike, 0.4 / 2)):
        found = recognizer.predict(clip, rate_hz=rate_hz, voice=voice).scores
        assert found is not None
        assert found["loud"] == pytest.approx(expect(0.3, 0.2, weight), abs=1e-4)


def test_too_little_speech_is_refused(recognizer: Recognizer) -> None:
    with pytest.raises(VoiceError, match=r"2\.\d s of speech in 1 recording; expected") as found:
        recognizer.enroll([make_tone(0.3, 2.5)])
    assert found.value.code == "voice.too_little_speech"
    with pytest.raises(VoiceError, match=r"0\.0 s of speech in 0 recordings"):
        recognizer.enroll([make_tone(0.0, 9.0)])
    with pytest.raises(VoiceError, match="0 recordings"):
        recognizer.enroll([], neutral=False)
    # Ten pieces too short to embed are no voice either.
    with pytest.raises(VoiceError, match="0 recordings"):
        recognizer.enroll([make_tone(0.3, 0.4)] * 10)


def test_one_recording_instead_of_a_list_is_refused(recognizer: Recognizer) -> None:
    with pytest.raises(EmovoxError, match="sources is str; expected a list"):
        recognizer.enroll("me.wav")


def test_a_file_that_cannot_be_used_stops_enrolment(recognizer: Recognizer) -> None:
    with pytest.raises(AudioError, match=r"none\.wav"):
        recognizer.enroll([make_tone(0.3, 4.0), "none.wav"])


def test_a_model_without_references_says_so(loudness_model: Path, recognizer: Recognizer) -> None:
    other = Recognizer.load(loudness_model, vad=False)
    voice = recognizer.enroll([make_tone(0.3, 4.0)])
    for attempt in (
        lambda: other.enroll([make_tone(0.3, 4.0)]),
        lambda: other.predict("clip.wav", voice=voice),
        lambda: list(other.predict_many(["clip.wav"], voice=voice)),
        lambda: list(other.timeline("clip.wav", voice=voice)),
    ):
        with pytest.raises(ModelFileError, match="'loudness' takes no voice") as found:
            attempt()
        assert found.value.code == "model.no_reference"
    with pytest.raises(ModelFileError, match="gives no embedding") as none:
        other.embed(make_tone(0.3, 4.0)[0], rate_hz=RATE_HZ)
    assert none.value.code == "model.no_embedding"


def test_a_voice_of_another_model_is_refused(recognizer: Recognizer) -> None:
    voice = recognizer.enroll([make_tone(0.3, 4.0)])
    foreign = replace(voice, model="0" * 64)
    with pytest.raises(VoiceError, match=r"another model \(SHA-256 000000000000") as found:
        recognizer.predict(make_tone(0.3, 1.0)[0], rate_hz=RATE_HZ, voice=foreign)
    assert found.value.code == "voice.other_model"
    short = replace(voice, reference=voice.reference[:1])
    with pytest.raises(VoiceError, match="1 features and 2 labels; the model has 2 and 2"):
        recognizer.with_voice(short)


def test_embeddings_are_weighted_by_speech(recognizer: Recognizer) -> None:
    clip, rate_hz = make_tone(0.25, 2.0)
    np.testing.assert_allclose(recognizer.embed(clip, rate_hz=rate_hz), [0.25, 0.5], atol=1e-4)
    long = np.concatenate([make_tone(0.2, 6.0)[0], make_tone(0.4, 6.0)[0]])
    found = recognizer.embed(long, rate_hz=RATE_HZ)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [0.3, 0.6], atol=0.005)
    with pytest.raises(AudioError, match="no speech") as none:
        recognizer.embed(np.zeros(8_000, np.float32), rate_hz=RATE_HZ)
    assert none.value.code == "audio.no_speech"


def test_a_voice_file_reads_back(recognizer: Recognizer, tmp_path: Path) -> None:
    voice = recognizer.enroll([make_tone(0.3, 4.0)])
    path = tmp_path / "me.voice"
    voice.save(path)
    assert Voice.load(path) == voice
    assert hash(Voice.load(path)) == hash(voice)
    assert Voice.from_bytes(voice.to_bytes()) == voice
    assert pickle.loads(pickle.dumps(voice)) == voice  # noqa: S301
    assert "holds no audio" in json.loads(path.read_text())["about"]
    with pytest.raises(ValueError, match="read-only"):
        Voice.load(path).reference[0] = 1


def change(voice: Voice, *, sealed: bool, **changes: object) -> bytes:
    """Return a voice file with other entries; ``None`` leaves one out."""
    values = {**json.loads(voice.to_bytes()), **changes}
    values = {key: value for key, value in values.items() if value is not None}
    if sealed:
        del values["sha256"]
        values["sha256"] = hash_values(values)
    return json.dumps(values).encode()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"format_version": 2}, "voice.version"),
        ({"format_version": None}, "voice.version"),
        ({"file": "another"}, "voice.foreign"),
        ({"kind": "angry"}, "voice.damaged"),
        ({"kind": None}, "voice.damaged"),
        ({"mood": 1}, "voice.damaged"),
        ({"model": "abc"}, "voice.damaged"),
        ({"recordings": 0}, "voice.damaged"),
        ({"recordings": True}, "voice.damaged"),
        ({"windows": 1.0}, "voice.damaged"),
        ({"speech_s": -1.0}, "voice.damaged"),
        ({"spread": float("nan")}, "voice.damaged"),
        ({"reference": ""}, "voice.damaged"),
        ({"reference": "AAAA"}, "voice.damaged"),
        ({"reference": "AADAfw=="}, "voice.damaged"),
        ({"reference": "?"}, "voice.damaged"),
        ({"reference": 5}, "voice.damaged"),
    ],
)
def test_a_wrong_entry_is_refused(
    recognizer: Recognizer, changes: dict[str, object], code: str
) -> None:
    voice = recognizer.enroll([make_tone(0.3, 4.0)])
    assert Voice.from_bytes(change(voice, sealed=True)) == voice
    with pytest.raises(VoiceError) as found:
        Voice.from_bytes(change(voice, sealed=True, **changes), name="me.voice")
    assert found.value.code == code
    assert str(found.value).startswith("me.voice: ")


def test_a_changed_number_does_not_match_the_hash(recognizer: Recognizer) -> None:
    voice = recognizer.enroll([make_tone(0.3, 4.0)])
    for changes in ({"recordings": 7}, {"speech_s": 9.0}, {"sha256": "0" * 64}, {"sha256": None}):
        with pytest.raises(VoiceError, match="damaged or changed") as found:
            Voice.from_bytes(change(voice, sealed=False, **changes))
        assert found.value.code == "voice.damaged"


@pytest.mark.parametrize("content", [b"", b"RIFF....WAVE", b"[]", b"\xff", b"[" * 100_000, b"0"])
def test_another_file_is_no_voice(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "me.voice"
    path.write_bytes(content)
    with pytest.raises(VoiceError, match=r"me\.voice: not a voice file") as found:
        Voice.load(path)
    assert found.value.code == "voice.foreign"


def test_a_large_or_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VoiceError, match="No such file") as found:
        Voice.load(tmp_path / "none.voice")
    assert found.value.code == "voice.unreadable"
    with pytest.raises(VoiceError, match="not a voice file"):
        Voice.load("/dev/zero")


def test_a_speakers_own_colour_cancels_out_of_the_spread() -> None:
    rng = np.random.default_rng(0)
    logits, offset = rng.normal(size=(5, 3)), np.array([3.0, 0.0, -1.0])

    def spread(values: NDArray[np.float64]) -> float:
        powers = np.exp(values)
        return measure_spread(list(powers / powers.sum(axis=1, keepdims=True)))

    centred = logits - logits.mean(axis=1, keepdims=True)
    assert spread(logits) == pytest.approx(centred.std(axis=0).mean())
    assert spread(logits + offset) == pytest.approx(spread(logits))
    # A probability of 0 is no infinite difference.
    assert 0 < measure_spread([np.array([1.0, 0.0]), np.array([0.5, 0.5])]) < 10


def write_tones(folder: Path, levels: list[float]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{at}.wav" for at in range(len(levels))]
    for file, level in zip(files, levels, strict=True):
        sf.write(file, make_tone(level, 1.0)[0], RATE_HZ, subtype="FLOAT")
    return files


def list_loud(results: Iterable[Prediction | FileFailure]) -> list[float]:
    return [r.scores["loud"] for r in results if isinstance(r, Prediction) and r.scores]


def test_each_speaker_of_a_folder_is_adapted_to(recognizer: Recognizer, tmp_path: Path) -> None:
    quiet, loud = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    write_tones(tmp_path / "ann", quiet)
    write_tones(tmp_path / "bob", loud)
    (tmp_path / "bob" / "broken.wav").write_bytes(b"RIFF")
    results = list(recognizer.predict_folder(tmp_path, adapt="speaker", jobs=2))
    # 3 windows count 3 / (3 + 3), as they are diverse.
    expected = [expect(level, 0.2, 0.5) for level in quiet]
    expected += [expect(level, 0.6, 0.5) for level in loud]
    assert list_loud(results) == pytest.approx(expected, abs=1e-4)
    assert isinstance(results[-1], FileFailure)
    assert all(r.notes == () for r in results if isinstance(r, Prediction))
    # As one speaker, 6 windows count 6 / (6 + 3) of another mean.
    whole = list_loud(recognizer.predict_folder(tmp_path, adapt="folder"))
    assert whole == pytest.approx([expect(x, 0.4, 2 / 3) for x in quiet + loud], abs=1e-4)
    # Without adaptation, as ever.
    plain = list_loud(recognizer.predict_folder(tmp_path))
    assert plain == pytest.approx([expect(x, 0, 0) for x in quiet + loud], abs=1e-4)


def test_speakers_may_be_mixed_and_keep_their_order(recognizer: Recognizer) -> None:
    levels, speakers = [0.1, 0.5, 0.2, 0.6, 0.3, 0.7], ["a", "b"] * 3
    clips = [make_tone(level, 1.0) for level in levels]
    found = list_loud(recognizer.predict_speakers(clips, speakers))
    means = {"a": 0.2, "b": 0.6}
    expected = [expect(x, means[who], 0.5) for x, who in zip(levels, speakers, strict=True)]
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("levels", "note"),
    [
        ([0.2, 0.3], r"^adapted to only 2 recordings of ann, so their mean counts 40%$"),
        ([0.2] * 5, r"^adapted to 5 recordings of ann that the model finds alike.* 25%: they may"),
        ([0.0, 0.0], r"^not adapted: too little speech in the 2 recordings of ann$"),
    ],
)
def test_a_note_says_where_a_set_is_small_or_one_sided(
    recognizer: Recognizer, levels: list[float], note: str
) -> None:
    clips = [make_tone(level, 1.0) for level in levels]
    for found in recognizer.predict_speakers(clips, ["ann"] * len(clips)):
        assert isinstance(found, Prediction)
        (noted,) = found.notes
        assert re.search(note, noted)


def test_adaptation_to_what_is_not_named_is_refused(
    recognizer: Recognizer, loudness_model: Path, tmp_path: Path
) -> None:
    write_tones(tmp_path, [0.2])
    with pytest.raises(EmovoxError, match="adapt is 'file'; expected 'folder' or 'speaker'"):
        recognizer.predict_folder(tmp_path, adapt="file")
    with pytest.raises(EmovoxError, match="1 recording and 2 speakers"):
        list(recognizer.predict_speakers([make_tone(0.3, 1.0)], ["a", "b"]))
    with pytest.raises(EmovoxError, match="channel is 'each'"):
        list(recognizer.predict_speakers([make_tone(0.3, 1.0)], ["a"], channel="each"))
    other = Recognizer.load(loudness_model, vad=False)
    with pytest.raises(ModelFileError, match="takes no voice"):
        list(other.predict_folder(tmp_path, adapt="folder"))
    # The mean of very many is that of some of them.
    assert len(_choose(list(range(1_000)))) == MAX_RECORDINGS
    assert _choose([1, 2]) == [1, 2]
