"""The model that comes with the package."""

import csv
import tomllib
from importlib import resources
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from emovox.audio.waveform import Waveform
from emovox.labels import EMOTIONS
from emovox.recipes.recipe import build_recipe
from emovox.recognition.model_file import FORMAT_VERSION, find_default_model
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import Prediction
from emovox.training.speech_encoder import find_speech_encoder


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load()


def test_it_says_what_it_is(recognizer: Recognizer) -> None:
    info = recognizer.info
    assert info.labels == tuple(label for label in EMOTIONS if label != "calm")
    assert info.format_version == FORMAT_VERSION
    assert info.training_corpora == ("banglaser", "cremad")
    assert 7_000 < info.training_clips < 8_903
    assert 0 < info.min_confidence < 1
    assert info.reference is not None


def test_anybody_may_use_it_with_credit(recognizer: Recognizer) -> None:
    info = recognizer.info
    assert not info.is_non_commercial
    assert [corpus.licence for corpus in info.corpora] == [
        "CC BY 4.0",
        "ODbL 1.0, contents DbCL 1.0",
    ]
    assert all(corpus.credit and corpus.url for corpus in info.corpora)
    assert "MIT" in info.encoder_licence


def test_it_was_not_trained_on_the_speakers_of_the_demo(recognizer: Recognizer) -> None:
    path = resources.files("emovox") / "assets" / "demo" / "clips.csv"
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    shown = {f"cremad-{row['speaker']}" for row in rows}
    assert len(shown) == 12
    assert len(recognizer.info.training_speakers) == 91 - 12 + 34
    assert not shown.intersection(recognizer.info.training_speakers)


def test_its_recipe_is_in_it_and_is_its_own(recognizer: Recognizer) -> None:
    recipe = build_recipe(tomllib.loads(recognizer.info.recipe))
    assert recipe.name == recognizer.info.name
    assert recipe.frontend.sample_rate_hz == recognizer.info.sample_rate_hz


def test_its_scores_carry_their_protocol_and_interval(recognizer: Recognizer) -> None:
    scores = recognizer.info.scores
    assert {score.name for score in scores} == {"UA"}
    for score in scores:
        assert 0 <= score.low < score.value < score.high <= 1
        assert "left out" in score.protocol
        assert score.n_clips > 300
        assert score.n_speakers >= 6
        assert score.n_seeds == 3
        assert "speaker-independent" in str(score)
    left_out = {score.protocol.split()[3] for score in scores}
    assert left_out == {"ravdess", "nemo", "ased", "aesdd"}


def test_its_scores_are_those_of_the_committed_table(recognizer: Recognizer) -> None:
    table = Path(__file__).parents[2] / "benchmarks" / "voices.csv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = [r for r in csv.DictReader(file) if (r["protocol"], r["voice"]) == ("open", "none")]
    expected = {
        f"open, {r['labels']} emotions, {r['corpus']} left out": float(r["value"])
        for r in rows
        if r["corpus"] not in ("mean", "women", "men")
    }
    assert {score.protocol: score.value for score in recognizer.info.scores} == expected


def test_it_holds_the_bundled_encoder() -> None:
    model, encoder = onnx.load(find_default_model()), onnx.load(find_speech_encoder("base"))
    weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    large = [t for t in encoder.graph.initializer if t.name.endswith("_packed")]
    assert len(large) == 14
    for tensor in large:
        assert np.array_equal(weights[f"encoder/{tensor.name}"], numpy_helper.to_array(tensor))


def test_it_is_as_small_as_was_asked() -> None:
    assert 1e6 < find_default_model().stat().st_size <= 6e6


def test_its_card_says_what_it_is_for_and_what_not() -> None:
    card = (resources.files("emovox") / "assets" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "{{" not in card
    for words in ("RAVDESS", "CC BY 4.0", "ODbL 1.0", "Not intended for"):
        assert words in card


def test_it_answers_without_speech_and_never_with_nan(recognizer: Recognizer) -> None:
    rate_hz = recognizer.info.sample_rate_hz
    assert recognizer.predict([0.0] * rate_hz, rate_hz=rate_hz).abstained == "no speech"
    for n_samples in (1, 100, 5_000):
        waveform = Waveform(np.full(n_samples, 0.5, np.float32), rate_hz)
        scores = recognizer.score_waveform(waveform)
        assert scores.sum() == pytest.approx(1, abs=1e-9)
        assert (scores > 0).all()


def test_noise_and_tones_are_no_speech_to_a_user(recognizer: Recognizer) -> None:
    time_s = np.arange(96_000) / 48_000
    noise = 0.3 * np.random.default_rng(0).standard_normal(time_s.size).clip(-3, 3)
    for samples in (noise, 0.5 * np.sin(2 * np.pi * 440 * time_s)):
        prediction = recognizer.predict(samples, rate_hz=48_000)
        assert (prediction.emotion, prediction.abstained) == (None, "no speech")
        assert (prediction.confidence, prediction.scores) == (None, None)


def test_it_hears_speakers_it_was_not_trained_on(
    recognizer: Recognizer, reference_clips: Path
) -> None:
    from emovox.corpora.ravdess import read_ravdess

    clips = [c for c in read_ravdess(reference_clips) if c.speaker == "1"]
    assert len(clips) == 60
    adapted = recognizer.predict_speakers([c.path for c in clips], ["1"] * 60)
    best = []
    for prediction in adapted:
        assert isinstance(prediction, Prediction)
        assert prediction.scores is not None
        best.append(max(prediction.scores, key=prediction.scores.__getitem__))
    wanted = ["neutral" if c.emotion == "calm" else c.emotion for c in clips]
    # Chance is 14%; no clip of RAVDESS was trained on.
    assert sum(map(str.__eq__, best, wanted)) >= 27
