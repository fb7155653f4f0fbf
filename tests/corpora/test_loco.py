from dataclasses import replace
from pathlib import Path

import pytest

from emovox.corpora.clips import Clip
from emovox.corpora.folds import Protocol, describe_rare_labels
from emovox.corpora.loco import restore_corpora
from emovox.corpora.protocols import make_protocol
from emovox.corpora.splits import format_split, read_folds
from emovox.errors import ProtocolError


def make_clips(corpus: str, n_speakers: int, emotions: tuple[str, ...]) -> list[Clip]:
    """Return a clip of each emotion by each speaker; odd ones are men, even ones women."""
    return [
        Clip(
            f"{corpus}-{n},{emotion}",
            Path(f"/{corpus}/{n}-{emotion}.wav"),
            corpus,
            emotion,
            f"{corpus}-{corpus.upper()}{n}",
            "male" if n % 2 else "female",
        )
        for n in range(1, n_speakers + 1)
        for emotion in emotions
    ]


B = make_clips("b", 12, ("neutral", "calm", "happy", "sad"))
A = make_clips("a", 3, ("neutral", "sad", "boredom"))
C = make_clips("c", 7, ("happy", "sad", "disgust"))
EVERY = [*B, *A, *C]


def test_each_corpus_is_tested_by_a_model_of_the_others() -> None:
    protocol = make_protocol("loco", EVERY)
    assert [fold.name for fold in protocol.folds] == ["a", "b", "c"]
    assert protocol.speaker_independent
    for fold in protocol.folds:
        others = {"a", "b", "c"} - {fold.name}
        assert {clip.corpus for clip in fold.test} == {fold.name}
        assert {clip.corpus for clip in fold.train} == others
        # Every training corpus validates, and by whole speakers.
        assert {clip.corpus for clip in fold.validation} == others
        assert not {c.speaker for c in fold.train} & {c.speaker for c in fold.validation}
    assert [len({c.speaker for c in fold.validation}) for fold in protocol.folds] == [3, 2, 3]


def test_tests_are_over_shared_labels_and_calm_is_neutral() -> None:
    protocol = make_protocol("loco", EVERY)
    a, b, c = protocol.folds
    assert (a.labels, b.labels, c.labels) == (
        ("neutral", "sad"),
        ("neutral", "happy", "sad"),
        ("happy", "sad"),
    )
    assert [len(fold.test) for fold in (a, b, c)] == [6, 48, 14]
    assert protocol.labels == ("neutral", "happy", "sad", "disgust", "boredom")
    assert sum(clip.emotion == "neutral" for clip in (*c.train, *c.validation)) == 12 * 2 + 3
    assert protocol.notes == (
        "a: 3 clips are not tested: training has no boredom",
        "c: 7 clips are not tested: training has no disgust",
    )
    # Boredom, which only one corpus has, is not missed where it is not tested.
    assert describe_rare_labels(protocol) == ()


def test_a_fold_does_not_depend_on_the_order_of_the_corpora() -> None:
    for fold, other in zip(
        make_protocol("loco", EVERY).folds, make_protocol("loco", [*C, *A, *B]).folds, strict=True
    ):
        for part in ("train", "validation", "test"):
            assert set(getattr(fold, part)) == set(getattr(other, part))


def test_the_first_folds_are_kept() -> None:
    protocol = make_protocol("loco", EVERY, n_splits=1)
    assert [fold.name for fold in protocol.folds] == ["a"]
    assert protocol.description.endswith("only the first 1 of 3 folds")


def test_a_written_split_reads_back_with_its_names_and_labels(tmp_path: Path) -> None:
    protocol = make_protocol("loco", EVERY)
    (tmp_path / "split.csv").write_text(format_split(protocol))
    folds = read_folds(tmp_path / "split.csv", EVERY, keep_names=True)
    read = Protocol("loco", 1, "", True, folds)
    assert restore_corpora(read).folds == protocol.folds
    assert [f.name for f in read_folds(tmp_path / "split.csv", EVERY)] == ["01", "02", "03"]


def test_what_leaves_nothing_to_test_is_refused() -> None:
    with pytest.raises(ProtocolError, match=r"two or more corpora; found b: name each with"):
        make_protocol("loco", B)
    with pytest.raises(ProtocolError, match=r"two or more corpora; found none"):
        make_protocol("loco", [])
    bored = make_clips("d", 2, ("boredom", "fearful"))
    with pytest.raises(ProtocolError, match=r"loco, fold d: the two sides share 1 labels"):
        make_protocol("loco", [*EVERY, *bored])


def test_a_speaker_in_two_corpora_is_refused_or_admitted() -> None:
    # In two lists, the same name after each list's own prefix.
    shared = [replace(clip, speaker="c-B1") if clip.speaker == "c-C1" else clip for clip in C]
    with pytest.raises(ProtocolError, match=r"loco, fold b: speakers b-B1 are in training"):
        make_protocol("loco", [*B, *shared])
    allowed = make_protocol("loco", [*B, *shared], allow_speaker_overlap=True)
    assert not allowed.speaker_independent
