"""A model file with a known answer, scored on recordings that the test makes."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from onnx import TensorProto, helper

from emovox.audio.waveform import Waveform
from emovox.corpora.clips import Clip
from emovox.errors import CorpusError, ModelFileError, RunError
from emovox.experiments.evaluate_model import evaluate_model, name_evaluation_folder
from emovox.experiments.model_evaluation import find_overlap, name_corpus, name_model
from emovox.export.metadata import seal_proto
from emovox.progress import Watcher
from emovox.recognition.model_file import ModelInfo, hash_clip_names, open_model
from emovox.recognition.recognizer import Recognizer
from emovox.report.page import write_report
from emovox.runs.predictions import read_predictions

MakeModel = Callable[..., Path]
MakeCorpus = Callable[..., Path]

# Mean level, true emotion, speaker, gender.
CLIPS = (
    (0.10, "calm", "ann", "female"),
    (0.20, "calm", "ann", "female"),
    (0.56, "calm", "bob", "male"),
    (0.90, "angry", "bob", "male"),
    (0.80, "angry", "cem", "male"),
    (0.56, "angry", "dot", "female"),
    (0.20, "angry", "dot", "female"),
)


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Return a function that writes a model at 8 kHz whose answer is known.

    At a mean level L, P(calm) is 0.6 (1 - L), P(angry) 0.6 L, and P(sad) 0.4 always.
    """

    def make(
        corpora: tuple[str, ...] = ("elsewhere",), clips: tuple[str, ...] = ("a", "b")
    ) -> Path:
        constants = [
            helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]),
            helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
            helper.make_tensor("weights", TensorProto.FLOAT, [3], [0.6, 0.6, 1.0]),
            helper.make_tensor("share", TensorProto.FLOAT, [1], [0.4]),
        ]
        nodes = [
            helper.make_node("Abs", ["waveform"], ["rectified"]),
            helper.make_node("ReduceMean", ["rectified", "axes"], ["loud"], keepdims=1),
            helper.make_node("Sub", ["one", "loud"], ["quiet"]),
            helper.make_node("Sub", ["loud", "loud"], ["zero"]),
            helper.make_node("Add", ["zero", "share"], ["sad"]),
            helper.make_node("Concat", ["quiet", "loud", "sad"], ["three"], axis=1),
            helper.make_node("Mul", ["three", "weights"], ["probabilities"]),
        ]
        takes = helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "samples"])
        gives = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])
        graph = helper.make_graph(nodes, "level", [takes], [gives], constants)
        opset = helper.make_opsetid("", 18)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
        info = ModelInfo(
            name="level",
            labels=("calm", "angry", "sad"),
            sample_rate_hz=8_000,
            temperature=2.0,
            min_confidence=0.5,
            training_corpora=corpora,
            training_clips=len(clips),
            training_clips_sha256=hash_clip_names(list(clips)),
            scores=(),
            recipe='name = "level"\n',
            licence="CC0",
        )
        helper.set_model_props(model, info.to_metadata())
        path = tmp_path / "level.onnx"
        path.write_bytes(seal_proto(model))
        return path

    return make


@pytest.fixture
def make_corpus(tmp_path: Path) -> MakeCorpus:
    """Return a function that writes ``mine.csv`` and its recordings: square waves."""

    def make(*, speakers: bool = True, more: str = "") -> Path:
        lines = []
        for number, (level, emotion, speaker, gender) in enumerate(CLIPS):
            # Of different lengths: two files of the same bytes would be one recording.
            samples = level * np.where(np.arange(4_800 + number) // 20 % 2, 1.0, -1.0)
            sf.write(tmp_path / f"{number}.wav", samples, 8_000, subtype="FLOAT")
            lines.append(f"{number}.wav,{emotion},{speaker if speakers else ''},{gender}\n")
        path = tmp_path / "mine.csv"
        path.write_text("file,emotion,speaker,gender\n" + "".join(lines) + more)
        return path

    return make


def test_scores_are_over_shared_labels_and_trust_over_all(
    make_model: MakeModel, make_corpus: MakeCorpus
) -> None:
    found = evaluate_model(make_model(), make_corpus(), vad=False)
    assert found.labels == ("calm", "angry")
    # Restricted, the louder half is angry: wrong of the loud calm clip and the quiet angry one.
    summary = found.scored.summary
    assert summary.wa.value == pytest.approx(5 / 7)
    assert summary.ua.value == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert found.scored.metrics.confusion.tolist() == [[2, 1], [1, 3]]
    assert (summary.n_clips, summary.n_speakers, summary.resample_by) == (7, 4, "speakers")
    # As shipped, both clips at 0.56 are sad.
    assert found.shipped.metrics.accuracy == pytest.approx(4 / 7)
    assert found.shipped.metrics.confusion[:, 2].tolist() == [1, 1, 0]
    np.testing.assert_allclose(found.predictions.probabilities[0], [0.54, 0.06, 0.4], atol=1e-6)
    # Of these, two reach 0.5: 0.54 at 0.10 and at 0.90; both are right.
    own = found.shipped.abstention.own
    assert own is not None
    assert own.count == 2
    assert own.coverage == pytest.approx(2 / 7)
    assert own.accuracy == 1.0
    assert found.scored.fairness is not None
    assert (found.scored.fairness.n_female, found.scored.fairness.n_male) == (2, 2)
    sha = found.sha256[:8]
    for line, name in zip(found.describe(), ("WA 71.4", "UA 70.8", "F1 70.8"), strict=True):
        assert line.startswith(f"{name} (95% t interval over 4 speakers: ")
        assert line.endswith(
            f"), level {sha} on mine, unseen corpus, 2 labels, 7 clips of 4 speakers"
        )
    shipped = found.describe_shipped()
    assert shipped[0] == "as shipped, over its 3 labels: 57.1% right"
    assert shipped[2] == (
        "at its own threshold (0.5): an emotion for 28.6% of the clips, 100.0% of these right"
    )


def test_more_threads_give_the_same_numbers(make_model: MakeModel, make_corpus: MakeCorpus) -> None:
    model, corpus = make_model(), make_corpus()
    first, second = (evaluate_model(model, corpus, vad=False, jobs=jobs) for jobs in (1, 3))
    assert first.to_dict() == second.to_dict()
    assert first.predictions.clips.tolist() == second.predictions.clips.tolist()


def test_what_is_not_scored_is_counted_and_named(
    make_model: MakeModel, make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    sf.write(tmp_path / "silent.wav", np.zeros(8_000), 8_000)
    sf.write(tmp_path / "joy.wav", np.full(8_000, 0.5), 8_000)
    rows = "broken.wav,calm,ann,\nsilent.wav,angry,bob,\njoy.wav,happy,bob,\nnone.wav,calm,ann,\n"
    watched: list[int] = []

    class Counter(Watcher):
        def start_clips(self, action: str, n_clips: int) -> None:  # noqa: ARG002
            watched.append(n_clips)

        def end_clip(self) -> None:
            watched.append(0)

    found = evaluate_model(make_model(), make_corpus(more=rows), vad=False, watcher=Counter())
    assert watched == [9] + 9 * [0]
    assert [clip.clip for clip in found.unusable] == ["mine-broken", "mine-silent"]
    assert "broken.wav" in found.unusable[0].reason
    assert "digital silence" in found.unusable[1].reason
    assert found.other_labels == (("happy", 1),)
    missing, *others = found.describe_unused()
    assert re.fullmatch(
        r"mine: 1 not there, such as \S+none.wav: its folder has no such file", missing
    )
    assert others == [
        "1 clip not scored, whose label the model lacks: happy (1)",
        "2 clips not scored that cannot be used",
    ]
    assert found.scored.summary.n_clips == 7


def test_a_clip_that_the_model_fails_on_does_not_end_the_evaluation(
    make_model: MakeModel, make_corpus: MakeCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = Recognizer.score_waveform
    n_failed = 0

    def fail_once(self: Recognizer, waveform: Waveform) -> Any:
        nonlocal n_failed
        # Square waves are no speech, so the second time is without the detector.
        if self.detector is None and not n_failed:
            n_failed += 1
            raise MemoryError("no room")
        return score(self, waveform)

    monkeypatch.setattr(Recognizer, "score_waveform", fail_once)
    found = evaluate_model(make_model(), make_corpus(), vad=True)
    assert len(found.unusable) == n_failed == 1
    assert "MemoryError: no room" in found.unusable[0].reason
    assert found.scored.summary.n_clips == 6


def test_clips_without_speech_are_scored_but_get_no_emotion_as_shipped(
    make_model: MakeModel, make_corpus: MakeCorpus
) -> None:
    model, corpus = make_model(), make_corpus()
    found = evaluate_model(model, corpus)  # nobody speaks in a square wave
    assert len(found.no_speech) == 7
    assert found.unusable == ()
    assert found.scored.summary.wa.value == pytest.approx(5 / 7)
    own = found.shipped.abstention.own
    assert own is not None
    assert (own.count, own.coverage, own.accuracy) == (0, 0.0, None)
    assert found.describe_shipped()[-1].startswith("7 clips without speech, by the speech detec")


def test_without_speakers_clips_are_resampled_and_that_is_said(
    make_model: MakeModel, make_corpus: MakeCorpus
) -> None:
    found = evaluate_model(make_model(), make_corpus(speakers=False), vad=False)
    assert not found.speakers_known
    assert found.scored.summary.resample_by == "clips"
    assert found.describe()[0].endswith("7 clips of unknown speakers")


def test_the_folder_holds_predictions_scores_and_a_report(
    make_model: MakeModel, make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    found = evaluate_model(make_model(), make_corpus(), out, vad=False)
    assert sorted(path.name for path in out.iterdir()) == [
        "corpus.json",
        "metrics.json",
        "predictions.csv",
        "report.html",
    ]
    kept = read_predictions(out / "predictions.csv")
    np.testing.assert_array_equal(kept.probabilities, found.predictions.probabilities)
    assert kept.labels == ("calm", "angry", "sad")
    content = json.loads((out / "metrics.json").read_text())
    assert content == json.loads(json.dumps(found.to_dict()))
    assert content["summary"]["accuracy"]["mean"] == pytest.approx(5 / 7)
    page = (out / "report.html").read_text()
    words = " ".join(page.split())
    assert "emovox evaluation of a model file" in words
    assert "level on mine, unseen corpus" in words
    assert "trained on <b>elsewhere (2 clips)</b>" in words
    assert "the model was not allowed to predict sad" in words
    assert "names an emotion for 28.6% of the clips and is right in 100.0% of these" in words
    assert "“Uncertain” is therefore no safeguard here" in words
    assert 'id="training"' not in page
    assert page.count("<audio") == 2
    # The page is made of the files alone.
    first = (out / "report.html").read_bytes()
    clips = {clip.name: clip for clip in found.scored.protocol.folds[0].test}
    assert write_report(out, clips).read_bytes() == first
    # A steady wave is all background, which is never removed.
    assert "No single region is decisive: " in write_report(out, clips, maps=True).read_text()
    make_model(corpora=("another",))
    text = write_report(out, clips, maps=True).read_text()
    assert "No maps: the model file that made these predictions is missing." in text


def test_files_of_two_evaluations_are_refused(
    make_model: MakeModel, make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    evaluate_model(make_model(), make_corpus(), out, vad=False)
    content = json.loads((out / "metrics.json").read_text())
    content["metrics"]["confusion"][0][0] += 1
    (out / "metrics.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match="have different confusions"):
        write_report(out, None)
    content["model"]["labels"] = ["calm", "angry"]
    (out / "metrics.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match="have different labels"):
        write_report(out, None)
    del content["corpus"]["overlap"]
    (out / "metrics.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"corpus\.overlap: .*; evaluate the model again"):
        write_report(out, None)


def test_a_report_warns_of_training_clips_unknown_speakers_and_what_is_left_out(
    make_model: MakeModel, make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    sf.write(tmp_path / "joy.wav", np.full(8_000, 0.5), 8_000)
    corpus = make_corpus(speakers=False, more="broken.wav,calm,,\njoy.wav,happy,,\n")
    out = tmp_path / "out"
    evaluate_model(make_model(corpora=("mine",)), corpus, out, vad=False)
    words = " ".join((out / "report.html").read_text().split())
    assert "seen corpus" in words
    assert "Not unseen: the model was trained on 2 clips of mine, and these clips may be" in words
    assert "no safeguard" not in words
    assert (
        "The corpus does not name its speakers, so the intervals treat clips as independent"
        in words
    )
    assert "7 clips by unknown speakers" in words
    assert (
        "Not scored: labels that the model lacks: happy (1); 1 clip that cannot be used: "
        "mine-broken." in words
    )
    assert str(tmp_path / "broken.wav") not in words


def make_clips(*names: str, corpus: str = "mine") -> list[Clip]:
    return [Clip(name, Path(name), corpus, "calm", "1") for name in names]


@pytest.mark.parametrize(
    ("corpora", "clips", "kind"),
    [
        (("elsewhere",), make_clips("x"), "unseen corpus"),
        (("elsewhere", "mine"), make_clips("x"), "seen corpus"),
        (("mine",), make_clips("b", "a"), "training clips"),
        (("ravdess",), make_clips("x", corpus="ravdess-song"), "unseen corpus, seen speakers"),
        (("ravdess-song",), make_clips("x", corpus="ravdess"), "unseen corpus, seen speakers"),
        (("ravdess",), make_clips("x", corpus="nemo"), "unseen corpus"),
    ],
)
def test_what_a_model_was_trained_on_is_found(
    make_model: MakeModel, corpora: tuple[str, ...], clips: list[Clip], kind: str
) -> None:
    overlap = find_overlap(open_model(make_model(corpora)).info, clips, "mine.csv")
    assert overlap.kind == kind
    assert overlap.is_unseen == (kind == "unseen corpus")
    assert overlap.reason.startswith("the model was trained on 2 clips of " + ", ".join(corpora))


@pytest.mark.parametrize(
    ("trained", "corpus", "speaker", "kind"),
    [
        ("mine-ann", "mine", "mine-ann", "seen corpus, seen speakers"),
        ("mine-ann", "mine", "mine-bob", "seen corpus, unseen speakers"),
        ("mine-unknown", "mine", "mine-bob", "seen corpus"),
        ("mine-ann", "mine", "mine-unknown", "seen corpus"),
        # The same name in another list is the same person, but not in a known corpus.
        ("mine-ann", "other", "other-ann", "unseen corpus, seen speakers"),
        ("mine-EB0", "nemo", "nemo-EB0", "unseen corpus"),
        ("mine-ann", "other", "other-bob", "unseen corpus"),
    ],
)
def test_speakers_are_looked_up_in_the_ledger(
    make_model: MakeModel, trained: str, corpus: str, speaker: str, kind: str
) -> None:
    info = replace(open_model(make_model(("mine",))).info, training_speakers=(trained, "mine-x"))
    clips = [Clip("new", Path("new"), corpus, "calm", speaker)]
    overlap = find_overlap(info, clips, f"{corpus}.csv")
    assert overlap.kind == kind
    independent = kind in ("unseen corpus", "seen corpus, unseen speakers")
    assert overlap.is_speaker_independent == independent
    assert ("not speaker-independent" in overlap.reason) == kind.endswith(", seen speakers")


def test_a_corpus_with_fewer_than_two_of_the_labels_is_refused(
    make_model: MakeModel, tmp_path: Path
) -> None:
    sf.write(tmp_path / "a.wav", np.full(8_000, 0.5), 8_000)
    path = tmp_path / "one.csv"
    path.write_text("file,emotion\na.wav,angry\n")
    with pytest.raises(CorpusError, match=r"one\.csv: found usable clips of angry of the labels"):
        evaluate_model(make_model(), path)


def test_a_corpus_of_unusable_clips_is_refused(make_model: MakeModel, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.wav").write_bytes(b"no audio" + name.encode())
    path = tmp_path / "bad.csv"
    path.write_text("file,emotion\na.wav,angry\nb.wav,calm\n")
    with pytest.raises(CorpusError, match=r"none of 2 clips can be used; the first: .*a\.wav"):
        evaluate_model(make_model(), path)


def test_a_training_run_is_not_written_over(
    make_model: MakeModel, make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    (tmp_path / "recipe.toml").touch()
    with pytest.raises(RunError, match="is a training run; name another folder with --out"):
        evaluate_model(make_model(), make_corpus(), tmp_path)


def test_a_model_that_is_not_there_is_refused(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        evaluate_model(tmp_path / "none.onnx", make_corpus())


def test_models_and_corpora_have_short_names(tmp_path: Path) -> None:
    assert name_model("default") == "default"
    assert name_model("models/best.onnx") == "best"
    assert name_model(str(tmp_path / "vanilla-reference" / "model.onnx")) == "vanilla-reference"
    assert name_model(str(tmp_path / "run" / "fold-03" / "model.onnx")) == "run-fold-03"
    assert (name_corpus("nemo"), name_corpus("./my calls.csv")) == ("nemo", "my calls")
    assert name_evaluation_folder("default", "./my calls.csv") == (
        Path("runs") / "evaluate-default-my-calls"
    )
