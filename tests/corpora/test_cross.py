from dataclasses import replace
from pathlib import Path

import pytest

from emovox.corpora.clips import Clip
from emovox.corpora.cross import (
    CrossName,
    describe_labels,
    list_corpora,
    make_cross,
    name_tested,
    parse_cross,
    restore_labels,
)
from emovox.corpora.held_out import choose_validation_speakers, hold_out
from emovox.corpora.protocols import make_protocol
from emovox.corpora.splits import format_split, read_folds
from emovox.errors import ProtocolError
from emovox.labels import EMOTIONS


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


A = make_clips("a", 12, EMOTIONS)
B = make_clips("b", 3, ("surprised", "sad", "neutral"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cross:ravdess->nemo", CrossName(("ravdess",), "nemo")),
        ("cross: a + ./b c.csv -> d", CrossName(("a", "./b c.csv"), "d")),
        ("emobox-6", None),
    ],
)
def test_names_are_read(name: str, expected: CrossName | None) -> None:
    assert parse_cross(name) == expected


@pytest.mark.parametrize("name", ["cross:", "cross:a", "cross:a->", "cross:->b", "cross:a->b->c"])
def test_half_a_name_is_refused(name: str) -> None:
    with pytest.raises(ProtocolError, match="cannot read the protocol .*expected cross:A->B"):
        parse_cross(name)


def test_corpora_come_from_the_protocol() -> None:
    assert list_corpora("emobox-6", ("ravdess", "nemo")) == ("ravdess", "nemo")
    assert list_corpora("cross:nemo+a->b", ("ravdess",)) == ("nemo", "a", "b")
    assert list_corpora("cross:nemo->b", ("nemo", "b")) == ("nemo", "b")
    with pytest.raises(ProtocolError, match=r"recipe has c too; .*cross:nemo\+c->b"):
        list_corpora("cross:nemo->b", ("nemo", "c"))
    assert name_tested("loso", ("nemo", "ravdess")) == "nemo"
    assert name_tested("cross:nemo->b", ("ravdess",)) == "b"


def test_tests_are_over_the_labels_that_both_have() -> None:
    protocol = make_cross("cross:b->a", B, A)
    (fold,) = protocol.folds
    assert fold.labels == ("neutral", "sad", "surprised")
    assert {clip.emotion for clip in fold.test} == set(fold.labels)
    assert len(fold.test) == 36
    assert protocol.speaker_independent
    assert protocol.notes == (
        "60 clips are not tested: training has no calm, happy, angry, fearful, disgust",
    )
    assert describe_labels(protocol) == [
        "over the 3 emotions that both corpora have, no other can be predicted: "
        "neutral, sad, surprised"
    ]
    (fold,) = make_cross("cross:a->b", A, B).folds
    assert {clip.emotion for clip in fold.train} == set(EMOTIONS)
    assert describe_labels(make_protocol("loso", A)) == []


def test_whole_speakers_validate_women_and_men_in_turn() -> None:
    (fold,) = make_cross("cross:a->b", A, B).folds
    assert {clip.speaker for clip in fold.validation} == {"a-A11", "a-A12"}
    assert {clip.speaker for clip in fold.train} == {f"a-A{n}" for n in range(1, 11)}
    assert len(fold.train) + len(fold.validation) == len(A)
    women = [clip for clip in make_clips("w", 8, ("sad",)) if clip.gender == "female"]
    assert choose_validation_speakers([*women, *make_clips("x", 1, ("sad",))]) == {"w-W8"}
    assert choose_validation_speakers(make_clips("x", 2, ("sad",))) == {"x-X2"}
    assert choose_validation_speakers(make_clips("x", 1, ("sad",))) == set()


def test_corpora_that_share_speakers_or_no_labels_are_refused() -> None:
    with pytest.raises(ProtocolError, match="speakers a-A1, a-A2 are in training and in the test"):
        make_cross("cross:a->c", A, [replace(c, name=f"c-{c.name}") for c in A[:16]])
    with pytest.raises(
        ProtocolError, match="sides share 1 labels; expected at least 2.*use the same names"
    ):
        make_cross("cross:b->c", B, make_clips("c", 2, ("sad", "calm")))


def test_halves_of_one_list_share_its_speakers_by_name() -> None:
    other = [
        replace(clip, name=f"c-{i}", corpus="c", speaker=clip.speaker.replace("a-", "c-"))
        for i, clip in enumerate(A[:16])
    ]
    with pytest.raises(ProtocolError, match=r"c-A1, c-A2 are in training .*if two people"):
        make_cross("cross:./a.csv->./c.csv", A, other)
    allowed = make_cross("cross:./a.csv->./c.csv", A, other, allow_speaker_overlap=True)
    assert not allowed.speaker_independent
    assert make_cross("cross:a->b", A, B, allow_speaker_overlap=True).speaker_independent
    # A known corpus' speakers are nobody else's, and unknown ones share no name.
    known = [
        replace(clip, corpus="nemo", speaker=clip.speaker.replace("c-", "nemo-")) for clip in other
    ]
    assert make_cross("cross:./a.csv->nemo", A, known).speaker_independent
    nobody = [[replace(c, speaker=f"{c.corpus}-unknown") for c in part] for part in (A, other)]
    assert make_cross("cross:./a->./c", *nobody).folds


def test_a_tenth_of_the_clips_validates_where_speakers_are_unknown() -> None:
    unknown = [replace(clip, speaker="a-unknown") for clip in A]
    train, validation = hold_out(unknown, min_speakers=2)
    assert (len(train), len(validation)) == (86, 10)
    assert hold_out(unknown[::-1], min_speakers=2)[1] == validation[::-1]
    assert hold_out(unknown[:9], min_speakers=2) == (unknown[:9], [])


def test_a_run_gets_its_labels_back_from_its_split(tmp_path: Path) -> None:
    protocol = make_cross("cross:a->b", A, B)
    (tmp_path / "split.csv").write_text(format_split(protocol))
    folds = read_folds(tmp_path / "split.csv", [*A, *B])
    assert folds[0].labels == ()
    assert folds[0].test[0].name == "b-1,surprised"
    read = type(protocol)(protocol.name, 1, protocol.description, True, folds)
    assert restore_labels(read) == protocol
    plain = make_protocol("loso", A)
    assert restore_labels(plain) is plain
