"""From labelled recordings to an adapted model file."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.made_tones import write_labelled_tones, write_tone

from emovox.adapt.adapt import MIN_CLIPS, Score, adapt_model, score_both
from emovox.adapt.graph import find_head
from emovox.errors import CorpusError, ModelFileError
from emovox.recognition.model_file import open_model
from emovox.recognition.recognizer import Recognizer


def test_new_labels_are_learnt_and_the_file_works(voice_model: Path, tmp_path: Path) -> None:
    corpus = write_labelled_tones(tmp_path)
    found = adapt_model(corpus, tmp_path / "new.onnx", base=voice_model, vad=False)
    assert (found.n_clips, found.n_speakers, found.by_speaker) == (54, 3, True)
    assert found.unknown_labels == ("shouting",)
    assert found.is_better
    # The base never says "shouting": it can be right in two of three labels.
    assert found.base.value < 0.7
    assert found.adapted.value > 0.9
    assert found.gain.value == pytest.approx(found.adapted.value - found.base.value)

    recognizer = Recognizer.load(tmp_path / "new.onnx", vad=False, min_confidence=0)
    info = recognizer.info
    assert set(info.labels) == {"quiet", "loud", "shouting"}
    for label, level in (("quiet", 0.12), ("shouting", 0.62), ("loud", 0.32)):
        clip = write_tone(tmp_path / "test.wav", level)
        assert recognizer.predict(clip).emotion == label
    assert info.training_clips == 2 + 54
    assert info.training_speakers == ("mine-ann", "mine-bob", "mine-cy")
    assert info.training_corpora == ("none", "mine")
    assert [corpus.name for corpus in info.corpora] == ["none", "mine"]
    assert info.licence == "CC0. Adapted to recordings of mine"
    (score,) = info.scores
    assert (score.value, score.speaker_independent) == (found.adapted.value, True)
    # A voice is still taken off, with labels of its own number.
    voice = recognizer.enroll([write_tone(tmp_path / "me.wav", 0.3, 4.0)])
    assert recognizer.predict(tmp_path / "me.wav", voice=voice).scores != (
        recognizer.predict(tmp_path / "me.wav").scores
    )


def test_the_file_computes_the_head_that_was_fitted(voice_model: Path, tmp_path: Path) -> None:
    """Probabilities follow from base, kernel and bias, in double precision."""
    corpus = write_labelled_tones(tmp_path)
    adapt_model(corpus, tmp_path / "new.onnx", base=voice_model, vad=False)
    proto = onnx.load(tmp_path / "new.onnx")
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in proto.graph.initializer}
    for level in (0.15, 0.5):
        samples = np.full((1, 8_000), level, np.float32)
        (base,) = open_model(voice_model).session.run(["probabilities"], {"waveform": samples})
        logits = np.log(base.astype(float)) @ tensors["adapted/shared"]
        logits += np.array([[level, 2 * level]]) @ tensors["adapted/kernel"]
        powers = np.exp(logits + tensors["adapted/bias"])
        (found,) = open_model(tmp_path / "new.onnx").session.run(
            ["probabilities"], {"waveform": samples}
        )
        np.testing.assert_allclose(found, powers / powers.sum(), rtol=0, atol=1e-4)


def test_labels_without_a_cause_are_not_called_better(voice_model: Path, tmp_path: Path) -> None:
    corpus = write_labelled_tones(tmp_path, apart=False)
    found = adapt_model(corpus, tmp_path / "new.onnx", base=voice_model, vad=False)
    assert not found.is_better
    assert found.adapted.value < 0.6


def test_speakers_that_are_unknown_are_not_left_out(voice_model: Path, tmp_path: Path) -> None:
    for label, level in (("quiet", 0.1), ("loud", 0.5)):
        for at in range(MIN_CLIPS):
            write_tone(tmp_path / "in" / label / f"{at}.wav", level + 0.01 * at)
    found = adapt_model(tmp_path / "in", tmp_path / "new.onnx", base=voice_model, vad=False)
    assert (found.n_speakers, found.by_speaker) == (0, False)
    assert not found.info.scores[0].speaker_independent
    assert found.adapted.value == 1.0


def test_too_few_clips_or_no_encoder_are_refused(
    voice_model: Path, loudness_model: Path, tmp_path: Path
) -> None:
    corpus = write_labelled_tones(tmp_path, n=2)
    out = tmp_path / "new.onnx"
    with pytest.raises(ModelFileError, match="no embedding") as none:
        adapt_model(corpus, out, base=loudness_model, vad=False)
    assert none.value.code == "model.no_embedding"
    lines = corpus.read_text().splitlines()
    corpus.write_text("\n".join(lines[:13]))
    with pytest.raises(CorpusError, match="found 4 loud, 4 quiet, 4 shouting clips; expected 5"):
        adapt_model(corpus, out, base=voice_model, vad=False)
    corpus.write_text("\n".join([lines[0], *(line for line in lines if ",quiet," in line)]))
    with pytest.raises(CorpusError, match="found 6 quiet clips; expected 5 or more of each of two"):
        adapt_model(corpus, out, base=voice_model, vad=False)
    assert not out.exists()


def test_the_head_of_a_model_is_found(voice_model: Path) -> None:
    found = find_head(onnx.load(voice_model), "voice.onnx")
    assert (found.inputs, found.hidden) == ("left", None)


def test_a_gain_is_measured_on_the_same_clips() -> None:
    classes = np.array([0, 0, 1, 1] * 5)
    base, adapted = np.zeros(20, np.int64), classes.copy()
    adapted[:2] = 1
    first, second, gain = score_both(classes, base, adapted, 2, np.arange(20) % 5)
    assert (first.value, second.value) == (0.5, 0.9)
    assert gain.value == pytest.approx(0.4)
    assert gain.low <= 0.4 <= gain.high
    # Without a label in common, the base is never right.
    assert score_both(classes, base - 1, adapted, 2, None)[0].value == 0.0
    assert str(Score(0.5, 0.25, 0.75)) == "50.0 (95% interval 25.0 to 75.0)"
