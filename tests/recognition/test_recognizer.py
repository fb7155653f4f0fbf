"""The recogniser on every kind of source, with a model whose answer is known."""

import io
import json
import pickle
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import soundfile as sf

from emovox.audio.limits import SILENCE_PEAK
from emovox.audio.waveform import Waveform
from emovox.errors import AudioError, EmovoxError, ModelFileError
from emovox.export.metadata import seal_proto
from emovox.recognition.model_file import open_model
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import FileFailure, Prediction
from emovox.recognition.voice_activity import SpeechDetector

MEAN_OF_RECTIFIED_SINE = 2 / np.pi


@pytest.fixture
def recognizer(loudness_model: Path) -> Recognizer:
    return Recognizer.load(loudness_model, vad=False)


def make_tone(amplitude: float, rate_hz: int = 8_000) -> npt.NDArray[np.float32]:
    time_s = np.arange(rate_hz) / rate_hz
    # 201 Hz: every sample has another phase, so that the mean is that of the whole sine.
    return (amplitude * np.sin(2 * np.pi * 201 * time_s)).astype(np.float32)


def write_tone(path: Path, amplitude: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, make_tone(amplitude), 8_000, subtype="FLOAT")
    return path


def expect_loudness(prediction: Prediction, amplitude: float, tolerance: float = 1e-4) -> None:
    loud = amplitude * MEAN_OF_RECTIFIED_SINE
    assert prediction.scores is not None
    assert list(prediction.scores) == ["quiet", "loud"]
    assert prediction.scores["loud"] == pytest.approx(loud, abs=tolerance)
    assert sum(prediction.scores.values()) == pytest.approx(1, abs=1e-12)
    assert prediction.emotion == ("loud" if loud > 0.5 else "quiet")
    assert prediction.confidence == max(prediction.scores.values())
    assert (prediction.start_s, prediction.end_s) == (0.0, 1.0)
    assert prediction.abstained is None


@pytest.mark.parametrize("amplitude", [0.2, 0.9])
def test_path_text_bytes_and_file_object_give_the_same(
    recognizer: Recognizer, tmp_path: Path, amplitude: float
) -> None:
    path = write_tone(tmp_path / "tone.wav", amplitude)
    by_path = recognizer.predict(path)
    expect_loudness(by_path, amplitude)
    assert by_path.file == str(path)
    assert recognizer.predict(str(path)) == by_path
    assert recognizer.predict(path.read_bytes()) == replace(by_path, file=None)
    assert recognizer.predict(io.BytesIO(path.read_bytes())) == replace(by_path, file=None)


def test_samples_are_predicted_as_their_file_is(recognizer: Recognizer, tmp_path: Path) -> None:
    path = write_tone(tmp_path / "tone.wav", 0.9)
    expected = replace(recognizer.predict(path), file=None)
    assert recognizer.predict(make_tone(0.9), rate_hz=8_000) == expected
    assert recognizer.predict(make_tone(0.9).tolist(), rate_hz=8_000) == expected


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 48_000])
def test_a_waveform_of_any_rate_is_predicted_as_its_samples_are(
    recognizer: Recognizer, rate_hz: int
) -> None:
    samples = make_tone(0.9, rate_hz)
    found = recognizer.predict(Waveform(samples, rate_hz))
    assert found == recognizer.predict(samples, rate_hz=rate_hz)
    expect_loudness(found, 0.9, tolerance=2e-3)
    scores = recognizer.score_waveform(Waveform(samples, rate_hz))
    assert scores.tolist() == list(found.scores.values() if found.scores else [])


def test_a_waveform_is_checked_as_an_array_is(loudness_model: Path) -> None:
    recognizer = Recognizer.load(loudness_model, vad=False, max_duration_s=0.5)
    for samples, problem in ((make_tone(0.5), "lasts 1.00 s"), (np.array([np.nan]), "NaN")):
        with pytest.raises(AudioError, match=problem):
            recognizer.predict(Waveform(samples.astype(np.float32), 8_000))


def test_a_rate_belongs_to_an_array_and_to_nothing_else(
    recognizer: Recognizer, tmp_path: Path
) -> None:
    path = write_tone(tmp_path / "tone.wav", 0.5)
    for samples in (make_tone(0.5), [0.5, 0.5], np.zeros(8, np.uint8)):
        with pytest.raises(AudioError, match=r"expected both, such as predict\(samples") as found:
            recognizer.predict(samples)
        assert found.value.code == "audio.rate_missing"
    waveform = Waveform(make_tone(0.5), 8_000)
    for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), waveform):
        with pytest.raises(AudioError, match="is 8000, but only arrays take it") as found:
            recognizer.predict(source, rate_hz=8_000)
        assert found.value.code == "audio.rate_unexpected"
    with pytest.raises(TypeError, match="source is int, expected a path, bytes, .* or an array"):
        recognizer.predict(3)


@pytest.mark.parametrize("rate_hz", [11_025, 16_000, 44_100, 48_000])
def test_another_rate_is_resampled(recognizer: Recognizer, rate_hz: int) -> None:
    prediction = recognizer.predict(make_tone(0.5, rate_hz), rate_hz=rate_hz)
    expect_loudness(prediction, 0.5, tolerance=2e-3)


def test_integers_are_scaled_and_channels_averaged(recognizer: Recognizer) -> None:
    ints = (make_tone(0.5) * 32_768).astype(np.int16)
    expect_loudness(recognizer.predict(ints, rate_hz=8_000), 0.5)
    stereo = np.stack([make_tone(0.8), make_tone(0.2)], axis=1)  # (samples, 2)
    expect_loudness(recognizer.predict(stereo, rate_hz=8_000), 0.5)


@pytest.mark.parametrize(
    ("n_samples", "abstained"),
    [(1, "no speech"), (799, "no speech"), (800, "too short"), (4_799, "too short"), (4_800, None)],
)
def test_six_tenths_of_a_second_are_needed_and_one_tenth_to_be_speech_at_all(
    recognizer: Recognizer, n_samples: int, abstained: str | None
) -> None:
    samples = [0.75 * (-1) ** i for i in range(n_samples)]
    prediction = recognizer.predict(samples, rate_hz=8_000)
    assert prediction.abstained == abstained
    assert prediction.emotion == (None if abstained else "loud")
    expected = None if abstained == "no speech" else {"quiet": 0.25, "loud": 0.75}
    assert prediction.scores == (expected and pytest.approx(expected))
    assert prediction.end_s == n_samples / 8_000


def test_pauses_do_not_count_as_speech(recognizer: Recognizer) -> None:
    spoken = np.concatenate([np.zeros(16_000, np.float32), make_tone(0.5)[:3_000]])
    assert recognizer.predict(spoken, rate_hz=8_000).abstained == "too short"
    twice = np.concatenate([spoken, spoken])
    assert recognizer.predict(twice, rate_hz=8_000).abstained is None


@pytest.mark.parametrize("offset", [0.001, 0.3, -0.9])
def test_a_constant_is_silence(recognizer: Recognizer, offset: float) -> None:
    constant = np.full(8_000, offset, np.float32)
    assert recognizer.predict(constant, rate_hz=8_000).abstained == "no speech"


@pytest.mark.parametrize(
    ("samples", "problem"),
    [
        ([], "no samples"),
        ([0.1, np.nan], "NaN"),
        (np.zeros((2, 2, 2)), "shape"),
        (np.array([20_000.0]), "full scale"),
    ],
)
def test_bad_samples_are_refused(recognizer: Recognizer, samples: Any, problem: str) -> None:
    with pytest.raises(AudioError, match=problem):
        recognizer.predict(samples, rate_hz=8_000)


def test_a_bad_file_is_refused_by_name(recognizer: Recognizer, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    with pytest.raises(AudioError, match=r"bad\.wav"):
        recognizer.predict(tmp_path / "bad.wav")


@pytest.mark.parametrize("peak", [0.0, SILENCE_PEAK * 0.9])
def test_nobody_speaks_in_silence(recognizer: Recognizer, peak: float) -> None:
    prediction = recognizer.predict(np.full(800, peak, np.float32), rate_hz=8_000)
    assert (prediction.emotion, prediction.abstained) == (None, "no speech")
    assert (prediction.confidence, prediction.scores) == (None, None)
    assert prediction.end_s == pytest.approx(0.1)


def test_just_above_silence_the_model_answers(recognizer: Recognizer) -> None:
    samples = np.tile([1.1 * SILENCE_PEAK, -1.1 * SILENCE_PEAK], 4_000)
    assert recognizer.predict(samples, rate_hz=8_000).emotion == "quiet"


def test_below_the_confidence_asked_for_it_abstains(loudness_model: Path) -> None:
    tone = make_tone(0.5)  # quiet with 1 - 0.318 = 0.682
    strict = Recognizer.load(loudness_model, vad=False, min_confidence=0.69).predict(
        tone, rate_hz=8_000
    )
    assert (strict.emotion, strict.abstained) == (None, "uncertain")
    assert strict.confidence == pytest.approx(1 - 0.5 * MEAN_OF_RECTIFIED_SINE, abs=1e-4)
    lax = Recognizer.load(loudness_model, vad=False, min_confidence=0.67).predict(
        tone, rate_hz=8_000
    )
    assert (lax.emotion, lax.abstained) == ("quiet", None)


def test_the_model_s_own_threshold_holds_unless_another_is_given(loudness_model: Path) -> None:
    tone = make_tone(0.5)  # quiet with 0.682
    model = open_model(loudness_model)
    careful = replace(model, info=replace(model.info, min_confidence=0.69))
    assert Recognizer(careful).predict(tone, rate_hz=8_000).abstained == "uncertain"
    for threshold in (0, 0.67):
        recognizer = Recognizer(careful, min_confidence=threshold)
        assert recognizer.predict(tone, rate_hz=8_000).emotion == "quiet"


def test_a_tone_is_no_speech_unless_nobody_asks(loudness_model: Path) -> None:
    heard = Recognizer.load(loudness_model).predict(make_tone(0.9), rate_hz=8_000)
    assert (heard.emotion, heard.abstained) == (None, "no speech")
    assert (heard.confidence, heard.scores) == (None, None)
    asked = Recognizer.load(loudness_model, vad=False).predict(make_tone(0.9), rate_hz=8_000)
    assert (asked.emotion, asked.abstained) == ("loud", None)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(
    loudness_model: Path, threshold: float
) -> None:
    with pytest.raises(EmovoxError, match="expected 0 to 1"):
        Recognizer.load(loudness_model, vad=False, min_confidence=threshold)


def test_a_recording_over_the_limit_is_refused(loudness_model: Path, tmp_path: Path) -> None:
    short = Recognizer.load(loudness_model, vad=False, max_duration_s=0.5)
    with pytest.raises(AudioError, match=r"0\.5"):
        short.predict(make_tone(0.5), rate_hz=8_000)
    with pytest.raises(AudioError, match=r"tone\.wav"):
        short.predict(write_tone(tmp_path / "tone.wav", 0.5))


@pytest.mark.parametrize("answer", [[np.nan, np.nan], [0.0, 0.0], [np.inf, 0.0]])
def test_an_answer_that_is_no_probabilities_is_refused(
    recognizer: Recognizer, answer: list[float]
) -> None:
    session = SimpleNamespace(run=lambda *_: [np.array([answer])])
    damaged = Recognizer(replace(recognizer.model, session=cast(Any, session)))
    with pytest.raises(ModelFileError, match="loudness: .* expected probabilities") as found:
        damaged.predict(make_tone(0.5), rate_hz=8_000)
    assert found.value.code == "model.damaged"


def test_a_runtime_that_fails_is_a_model_error_for_each_recording(recognizer: Recognizer) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("[ONNXRuntimeError]\n bad allocation")

    broken = Recognizer(replace(recognizer.model, session=cast(Any, SimpleNamespace(run=fail))))
    with pytest.raises(ModelFileError, match="fails on 1.00 s of audio .*bad allocation"):
        broken.predict(make_tone(0.5), rate_hz=8_000)
    failures = list(broken.predict_many([(make_tone(0.5), 8_000)] * 2))
    assert [f.code for f in failures if isinstance(f, FileFailure)] == ["model.failed"] * 2


def test_a_speech_detector_that_fails_is_a_model_error(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("bad allocation")

    detector = SpeechDetector()
    monkeypatch.setattr(detector, "_session", SimpleNamespace(run=fail))
    with pytest.raises(ModelFileError, match="silero_vad.onnx: the model fails on") as found:
        Recognizer(recognizer.model, detector=detector).predict(make_tone(0.5), rate_hz=8_000)
    assert found.value.code == "model.failed"


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_batch_continues_after_the_model_fails_on_one_recording(
    recognizer: Recognizer, jobs: int
) -> None:
    errors = {0.2: MemoryError("no room"), 0.3: RuntimeError("[ONNXRuntimeError] : 6")}

    def run(outputs: list[str], inputs: dict[str, np.ndarray[Any, Any]]) -> Any:
        peak = round(float(np.abs(inputs["waveform"]).max()), 1)
        if peak in errors:
            raise errors[peak]
        return recognizer.model.session.run(outputs, inputs)

    session = cast(Any, SimpleNamespace(run=run))
    fragile = Recognizer(replace(recognizer.model, session=session))
    tones = [(make_tone(peak), 8_000) for peak in (0.2, 0.9, 0.3, 0.8)]
    results = list(fragile.predict_many(tones, jobs=jobs))
    codes = [r.code for r in results if isinstance(r, FileFailure)]
    assert codes == ["source.memory", "model.failed"]
    assert [isinstance(r, Prediction) for r in results] == [False, True, False, True]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with nine tones of rising amplitude, a broken one, and files to leave out."""
    root = tmp_path / "folder"
    for number in range(1, 10):
        write_tone(root / f"{'b' if number % 2 else 'a'}" / f"{number} ü.WAV", number / 10)
    (root / "a" / "broken.flac").write_bytes(b"fLaC")
    (root / "notes.txt").write_text("no recording")
    write_tone(root / ".cache" / "tone.wav", 0.5)
    write_tone(root / "a" / ".hidden.wav", 0.5)
    (root / "folder.wav").mkdir()
    return root


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_folder_is_predicted_in_order_and_one_bad_file_does_not_stop_it(
    recognizer: Recognizer, folder: Path, jobs: int
) -> None:
    results = list(recognizer.predict_folder(folder, jobs=jobs))
    even = [f"a/{n} ü.WAV" for n in (2, 4, 6, 8)]
    odd = [f"b/{n} ü.WAV" for n in (1, 3, 5, 7, 9)]
    assert [r.file for r in results] == [str(folder / f) for f in [*even, "a/broken.flac", *odd]]
    failure = results.pop(4)
    assert isinstance(failure, FileFailure)
    assert "broken.flac" in failure.error
    assert "\n" not in failure.error
    for result, number in zip(results, (2, 4, 6, 8, 1, 3, 5, 7, 9), strict=True):
        assert isinstance(result, Prediction)
        expect_loudness(result, number / 10)


@pytest.mark.parametrize("jobs", [1, 3])
def test_files_keep_their_order_and_are_taken_as_needed(
    recognizer: Recognizer, tmp_path: Path, jobs: int
) -> None:
    path = write_tone(tmp_path / "tone.wav", 0.5)
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield path if taken % 2 else tmp_path / "missing.wav"

    results = recognizer.predict_files(endless(), jobs=jobs)
    kinds = [type(next(results)) for _ in range(6)]
    results.close()  # type: ignore[attr-defined]
    assert kinds == [Prediction, FileFailure] * 3
    assert taken <= 6 + 4 * jobs
    assert threading.active_count() < 10


class Unreadable(io.RawIOBase):
    """A file object for which there is not enough memory."""

    def read(self, _size: int = -1, /) -> bytes:
        raise MemoryError("no room for it")


@pytest.mark.parametrize("jobs", [1, 3])
def test_any_mixture_is_predicted_and_whatever_fails_is_one_failure(
    recognizer: Recognizer, tmp_path: Path, jobs: int
) -> None:
    tone = make_tone(0.9)
    path = write_tone(tmp_path / "tone.wav", 0.9)
    good = [path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes())]
    good += [(tone, 8_000), (tone.tolist(), 8_000), Waveform(tone, 8_000)]
    bad = {
        "audio.not_found": tmp_path / "none.wav",
        "audio.unknown_format": b"no audio",
        "audio.rate_missing": tone,
        "audio.bad_array": (np.zeros((2, 2, 2)), 8_000),
        "source.invalid": 3,
        "source.memory": Unreadable(),
        "source.failed": SimpleNamespace(read=lambda _: 1 / 0),
    }
    mixture = [item for pair in zip(good, bad.values(), strict=True) for item in pair]
    results = list(recognizer.predict_many(cast(Any, mixture), jobs=jobs))
    for result in results[::2]:
        assert isinstance(result, Prediction)
        expect_loudness(result, 0.9)
    assert [r.file for r in results[::2]] == [str(path)] * 2 + [None] * 5
    failures = [r for r in results[1::2] if isinstance(r, FileFailure)]
    assert [f.code for f in failures] == list(bad)
    assert [f.file for f in failures] == [str(tmp_path / "none.wav")] + [None] * 6
    assert failures[0].detail == "no such file; check the path"
    assert failures[0].error == f"{tmp_path / 'none.wav'}: {failures[0].detail}"
    assert failures[4].error.startswith("<int>: TypeError: source is int, expected a path")
    assert failures[5].error == "<stream>: MemoryError: no room for it"
    assert failures[6].detail == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("single", ["clip.wav", Path("clip.wav"), b"RIFF", np.zeros(8)])
def test_a_single_recording_is_not_taken_for_many(recognizer: Recognizer, single: Any) -> None:
    with pytest.raises(EmovoxError, match="expected a list of recordings: use predict"):
        list(recognizer.predict_many(single))


@pytest.mark.parametrize("vad", [True, False])
def test_a_copied_recognizer_opens_its_model_again(
    loudness_model: Path, monkeypatch: pytest.MonkeyPatch, vad: bool
) -> None:
    monkeypatch.chdir(loudness_model.parent)
    original = Recognizer.load(
        loudness_model.name, vad=vad, min_confidence=0.6, max_duration_s=2, threads=2
    )
    pickled = pickle.dumps(original)
    assert len(pickled) < 5_000
    monkeypatch.chdir("/")
    for copy in (pickle.loads(pickled), deepcopy(original)):  # noqa: S301
        assert copy.model.session is not original.model.session
        assert (copy.info, copy.min_confidence, copy.max_duration_s) == (original.info, 0.6, 2)
        assert (copy.model.threads, copy.detector is None) == (2, not vad)
        for amplitude in (0.2, 0.9):
            tone = make_tone(amplitude)
            assert copy.predict(tone, rate_hz=8_000) == original.predict(tone, rate_hz=8_000)


def test_another_process_predicts_with_it(recognizer: Recognizer, tmp_path: Path) -> None:
    paths = [write_tone(tmp_path / f"{n}.wav", n / 10) for n in (2, 9)]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(recognizer.predict, paths))
        failed = pool.submit(recognizer.predict, tmp_path / "none.wav").exception()
    assert results == [recognizer.predict(path) for path in paths]
    assert isinstance(failed, AudioError)
    assert (failed.code, failed.detail) == ("audio.not_found", "no such file; check the path")
    assert str(failed) == f"{tmp_path / 'none.wav'}: no such file; check the path"


def test_another_model_in_its_place_is_refused(loudness_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    shutil.copy(loudness_model, path)
    pickled = pickle.dumps(Recognizer.load(path, vad=False))
    write_model_as(path, "another")
    with pytest.raises(ModelFileError, match="another model than the 'loudness'") as found:
        pickle.loads(pickled)  # noqa: S301
    assert found.value.code == "model.changed"


def write_model_as(path: Path, name: str) -> None:
    """Give a model file another name inside."""
    model = onnx.load(path)
    for entry in model.metadata_props:
        if entry.key == "emovox.name":
            entry.value = json.dumps(name)
    path.write_bytes(seal_proto(model))


def test_no_files_give_no_results(recognizer: Recognizer) -> None:
    assert list(recognizer.predict_files([])) == []
    assert list(recognizer.predict_files([], jobs=2)) == []


def test_fewer_than_one_job_is_refused(recognizer: Recognizer) -> None:
    with pytest.raises(EmovoxError, match="jobs is 0"):
        list(recognizer.predict_files([], jobs=0))


def test_an_empty_or_missing_folder_is_refused(recognizer: Recognizer, tmp_path: Path) -> None:
    write_tone(tmp_path / ".hidden.wav", 0.5)
    with pytest.raises(AudioError, match=r"contains no audio files; expected some of .*\.flac"):
        recognizer.predict_folder(tmp_path)
    with pytest.raises(AudioError, match="no such folder") as found:
        recognizer.predict_folder(tmp_path / "none")
    assert found.value.code == "audio.not_found"


def test_threads_may_share_a_recognizer(recognizer: Recognizer) -> None:
    amplitudes = [n / 50 for n in range(1, 50)]
    with ThreadPoolExecutor(8) as pool:
        waveforms = map(make_tone, amplitudes)
        results = list(pool.map(lambda w: recognizer.predict(w, rate_hz=8_000), waveforms))
    for result, amplitude in zip(results, amplitudes, strict=True):
        expect_loudness(result, amplitude)


def test_without_a_path_the_model_of_the_package_is_loaded(
    loudness_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "emovox.recognition.named_models.find_default_model", lambda: loudness_model
    )
    assert Recognizer.load().info.name == "loudness"


def test_silent_windows_of_a_long_recording_do_not_count(recognizer: Recognizer) -> None:
    tone, silence = np.tile(make_tone(0.9), 10), np.zeros(12 * 8_000, np.float32)
    found = [
        recognizer.predict(np.concatenate([tone, *[silence] * n]), rate_hz=8_000) for n in (1, 3)
    ]
    assert found[0].scores == found[1].scores
