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
from emovox.training.speech_encoder import find_speech_encoder


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load()


def test_it_says_what_it_is(recognizer: Recognizer) -> None:
    info = recognizer.info
    assert info.labels == EMOTIONS
    assert info.format_version == FORMAT_VERSION
    assert info.training_corpora == ("ravdess",)
    assert info.training_clips == 1_440
    assert 0 < info.min_confidence < 1
    assert "CC BY-NC-SA 4.0" in info.licence
    assert "non-commercial" in info.licence


def test_its_recipe_is_in_it_and_is_its_own(recognizer: Recognizer) -> None:
    recipe = build_recipe(tomllib.loads(recognizer.info.recipe))
    assert recipe.name == recognizer.info.name
    assert recipe.frontend.sample_rate_hz == recognizer.info.sample_rate_hz


def test_its_scores_carry_their_protocol_and_interval(recognizer: Recognizer) -> None:
    scores = recognizer.info.scores
    assert {"WA", "UA", "F1"} <= {score.name for score in scores}
    for score in scores:
        assert 0 <= score.low <= score.value <= score.high <= 1
        assert score.low < score.high
        assert " v" in score.protocol
        assert score.n_clips >= 36
        assert score.n_speakers >= 4
        assert score.n_seeds >= 1
        expected = "speaker-independent" if score.speaker_independent else "speaker-dependent"
        assert expected in str(score)
        known = score.protocol.startswith(("reference", "random"))
        assert score.speaker_independent is not known


def test_it_is_calibrated_and_its_recipe_scored_on_new_voices(recognizer: Recognizer) -> None:
    assert recognizer.info.temperature != 1
    new = {s.name: s for s in recognizer.info.scores if s.protocol == "emobox-6 v1"}
    assert set(new) == {"WA", "UA", "F1"}
    assert {(s.n_clips, s.n_speakers, s.n_seeds) for s in new.values()} == {(1_440, 24, 3)}


def test_its_scores_are_those_of_the_committed_table(recognizer: Recognizer) -> None:
    table = Path(__file__).parents[2] / "benchmarks" / "accuracy.csv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["seeds"] == "mean"]
    means = [r for r in rows if r["score"] in ("WA", "UA", "F1")]
    found = {(s.protocol, s.name): s.value for s in recognizer.info.scores}
    expected = {(f"{r['protocol']} v{r['version']}", r["score"]): float(r["value"]) for r in means}
    assert found == expected


def test_it_holds_the_bundled_encoder() -> None:
    model, encoder = onnx.load(find_default_model()), onnx.load(find_speech_encoder())
    weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    large = [t for t in encoder.graph.initializer if t.name.endswith("_packed")]
    assert len(large) == 14
    for tensor in large:
        assert np.array_equal(weights[f"encoder/{tensor.name}"], numpy_helper.to_array(tensor))


def test_it_is_as_small_as_was_asked() -> None:
    assert 1e6 < find_default_model().stat().st_size <= 4e6


def test_its_card_says_what_it_is_for_and_what_not() -> None:
    card = (resources.files("emovox") / "assets" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "{{" not in card
    for words in ("RAVDESS", "CC BY-NC-SA", "speaker-independent", "Not intended for"):
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


def test_it_knows_a_voice_it_was_trained_on(recognizer: Recognizer, reference_clips: Path) -> None:
    from emovox.corpora.ravdess import read_ravdess

    clips = [c for c in read_ravdess(reference_clips) if c.speaker == "1"]
    assert len(clips) == 60
    predictions = [recognizer.predict(clip.path) for clip in clips]
    assert "no speech" not in {p.abstained for p in predictions}
    # The best score, also where that is too unsure to be an answer.
    best = [max(p.scores, key=p.scores.__getitem__) for p in predictions if p.scores]
    right = sum(label == c.emotion for label, c in zip(best, clips, strict=True))
    # Training clips: far above chance (13%), or the file is not the model it says it is.
    assert right >= 48
