import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold, train_test_split

from emovox.corpora import protocols
from emovox.corpora.clips import Clip
from emovox.corpora.combine import add_training_clips
from emovox.corpora.folds import (
    Fold,
    Protocol,
    check_folds,
    check_labels,
    describe_rare_labels,
    doubt_speakers,
    find_shared_speakers,
)
from emovox.corpora.locate import find_ravdess
from emovox.corpora.protocols import PROTOCOLS, choose_protocol, make_protocol
from emovox.corpora.ravdess import list_ravdess_names, parse_ravdess_name, read_ravdess
from emovox.corpora.splits import format_split, read_folds, read_split
from emovox.errors import ProtocolError
from emovox.labels import EMOTIONS

WORDS = ["seen-words", "unseen-words"]
ONE_CORPUS = [name for name in PROTOCOLS if name != "loco"]
SPEAKER_INDEPENDENT = ["emobox-6", *WORDS, "luna-5", "loso", "speaker-folds"]


def make_clip(name: str) -> Clip:
    parsed = parse_ravdess_name(name)
    return Clip(
        name=name,
        path=Path(f"{name}.wav"),
        corpus="ravdess",
        emotion=parsed.emotion,
        speaker=str(parsed.actor),
        sentence=parsed.sentence,
    )


CLIPS = [make_clip(name) for name in list_ravdess_names()]
NAMELESS = replace(CLIPS[0], name="nameless", sentence=None)
FIRST_ACTORS = [clip for clip in CLIPS if int(clip.speaker) <= 4]

FIRST_TRAIN = ["03-01-05-01-01-02-01", "03-01-02-01-01-01-03", "03-01-03-01-02-02-02"]
FIRST_VALIDATION = ["03-01-06-02-01-02-02", "03-01-07-02-01-02-02", "03-01-03-01-02-02-01"]
FIRST_TEST = ["03-01-07-01-01-01-02", "03-01-01-01-01-01-03", "03-01-05-02-01-01-03"]


def list_names(clips: tuple[Clip, ...]) -> list[str]:
    return [clip.name for clip in clips]


def list_speakers(clips: tuple[Clip, ...]) -> set[str]:
    return {clip.speaker for clip in clips}


def count_sizes(fold: Fold) -> tuple[int, int, int]:
    return len(fold.train), len(fold.validation), len(fold.test)


def test_reference_is_scikit_learns_split_of_actors_1_to_4() -> None:
    (fold,) = make_protocol("reference", CLIPS).folds
    assert count_sizes(fold) == (168, 36, 36)
    names = sorted(list_names(tuple(FIRST_ACTORS)), key=lambda name: (name[-2:], name))
    train, rest = train_test_split(names, test_size=0.3, random_state=42)
    validation, test = train_test_split(rest, test_size=0.5, random_state=42)
    assert list_names(fold.train) == train
    assert list_names(fold.validation) == validation
    assert list_names(fold.test) == test
    # Written down, so that a scikit-learn with another shuffle is found out.
    assert list_names(fold.train)[:3] == FIRST_TRAIN
    assert list_names(fold.validation)[:3] == FIRST_VALIDATION
    assert list_names(fold.test)[:3] == FIRST_TEST


def test_reference_does_not_depend_on_the_listings_order() -> None:
    protocol = make_protocol("reference", CLIPS)
    assert make_protocol("reference", CLIPS[::-1]) == protocol
    assert make_protocol("reference", FIRST_ACTORS) == protocol
    assert not protocol.speaker_independent
    assert (protocol.name, protocol.version) == ("reference", 1)


def test_the_twenty_repeated_splits_differ_and_the_first_is_the_reference() -> None:
    protocol = make_protocol("reference-repeated", CLIPS)
    assert [fold.name for fold in protocol.folds] == [f"{i:02d}" for i in range(1, 21)]
    assert {count_sizes(fold) for fold in protocol.folds} == {(168, 36, 36)}
    assert len({frozenset(list_names(fold.test)) for fold in protocol.folds}) == 20
    assert protocol.folds[0] == make_protocol("reference", CLIPS).folds[0]
    for state, fold in zip(range(42, 62), protocol.folds, strict=True):
        names = sorted(list_names(tuple(FIRST_ACTORS)), key=lambda name: (name[-2:], name))
        _, rest = train_test_split(names, test_size=0.3, random_state=state)
        _, test = train_test_split(rest, test_size=0.5, random_state=state)
        assert list_names(fold.test) == test


def test_random_10_is_scikit_learns_kfold_by_file_name() -> None:
    protocol = make_protocol("random-10", CLIPS[::-1])
    names = sorted(clip.name for clip in CLIPS)
    splits = list(KFold(10, shuffle=True, random_state=46).split(names))
    for i, (fold, (_, test)) in enumerate(zip(protocol.folds, splits, strict=True)):
        _, following = splits[(i + 1) % 10]
        assert count_sizes(fold) == (1_152, 144, 144)
        assert set(list_names(fold.test)) == {names[j] for j in test}
        assert set(list_names(fold.validation)) == {names[j] for j in following}
    assert not protocol.speaker_independent


@pytest.mark.parametrize("name", [*SPEAKER_INDEPENDENT, "random-10"])
def test_every_clip_is_tested_once_and_has_one_role(name: str) -> None:
    protocol = make_protocol(name, CLIPS)
    tested = Counter(clip.name for fold in protocol.folds for clip in fold.test)
    assert tested == Counter({clip.name: 1 for clip in CLIPS})
    for fold in protocol.folds if name not in WORDS else ():
        names = [*list_names(fold.train), *list_names(fold.validation), *list_names(fold.test)]
        assert sorted(names) == sorted(clip.name for clip in CLIPS)


@pytest.mark.parametrize("name", SPEAKER_INDEPENDENT)
def test_each_speaker_has_one_role_in_a_fold(name: str) -> None:
    protocol = make_protocol(name, CLIPS)
    assert protocol.speaker_independent
    for fold in protocol.folds:
        roles = [list_speakers(part) for part in (fold.train, fold.validation, fold.test)]
        assert sum(len(role) for role in roles) == 24
        assert len(set.union(*roles)) == 24
        # Whole speakers: 60 clips each, or the 30 of one sentence, wherever they stand.
        n_clips = 30 if name in WORDS else 60
        assert list(count_sizes(fold)) == [n_clips * len(role) for role in roles]
        if name == "loso":
            assert {int(speaker) % 2 for speaker in roles[1]} == {0, 1}  # a man and a woman


def test_test_actors_are_those_of_the_papers() -> None:
    emobox = make_protocol("emobox-6", CLIPS)
    assert [sorted(map(int, list_speakers(fold.test))) for fold in emobox.folds] == [
        [1, 11, 20, 21],
        [4, 10, 12, 14],
        [8, 9, 19, 23],
        [3, 5, 7, 24],
        [2, 15, 16, 18],
        [6, 13, 17, 22],
    ]
    luna = make_protocol("luna-5", CLIPS)
    assert [sorted(map(int, list_speakers(fold.test))) for fold in luna.folds] == [
        [2, 5, 14, 15, 16],
        [3, 6, 7, 13, 18],
        [10, 11, 12, 19, 20],
        [8, 17, 21, 23, 24],
        [1, 4, 9, 22],
    ]
    assert list_speakers(emobox.folds[5].validation) == {"1", "11", "20", "21"}
    loso = make_protocol("loso", CLIPS)
    assert [list_speakers(fold.test) for fold in loso.folds] == [{str(i)} for i in range(1, 25)]
    assert list_speakers(loso.folds[23].validation) == {"1", "2"}


def test_words_are_crossed_with_the_speakers_of_emobox() -> None:
    emobox = make_protocol("emobox-6", CLIPS).folds
    seen, unseen = (make_protocol(name, CLIPS).folds for name in WORDS)
    assert [fold.name for fold in unseen] == [f"{i:02d}" for i in range(1, 13)]
    for i, (same, other) in enumerate(zip(seen, unseen, strict=True)):
        # The same model is tested on either sentence.
        assert (same.train, same.validation) == (other.train, other.validation)
        assert list_speakers(same.test) == list_speakers(other.test)
        assert set(same.test) | set(other.test) == set(emobox[i // 2].test)
        assert set(same.train) < set(emobox[i // 2].train)
        (trained,), (tested,) = ({c.sentence for c in part} for part in (same.train, other.test))
        assert {c.sentence for c in (*same.validation, *same.test)} == {trained}
        assert trained != tested


def test_nothing_is_tested_where_everything_trains_once_whole_speakers_have_calibrated() -> None:
    (fold,) = make_protocol("everything", FIRST_ACTORS).folds
    assert count_sizes(fold) == (180, 60, 0)
    assert list_speakers(fold.validation) == {"4"}
    (fold,) = make_protocol("everything", CLIPS).folds
    assert list_speakers(fold.validation) == {"21", "22", "23", "24"}
    # Trained again on all of them, the clips come in the order of the corpus.
    assert (*fold.train, *fold.validation) == tuple(CLIPS)
    (fold,) = make_protocol("everything", CLIPS[:120]).folds
    assert count_sizes(fold) == (108, 12, 0)
    (fold,) = make_protocol("everything", CLIPS[:9]).folds
    assert count_sizes(fold) == (9, 0, 0)


def test_speaker_folds_part_any_speakers_into_five() -> None:
    clips = [replace(clip, speaker=f"calls-{clip.speaker}", corpus="calls") for clip in CLIPS[:420]]
    protocol = make_protocol("speaker-folds", clips)
    sizes = [len(list_speakers(fold.test)) for fold in protocol.folds]
    assert (sorted(sizes), len(set.union(*(list_speakers(f.test) for f in protocol.folds)))) == (
        [1, 1, 1, 2, 2],
        7,
    )
    assert make_protocol("speaker-folds", clips[::-1]).folds[0].name == "01"
    for fold, following in pairwise([*protocol.folds, protocol.folds[0]]):
        assert list_speakers(fold.validation) == list_speakers(following.test)


def make_list(n_speakers: int, n_unknown: int = 0) -> list[Clip]:
    """Return two clips of each known speaker, and some of unknown ones."""
    names = [f"calls-{n}" for n in range(n_speakers) for _ in range(2)]
    names += ["calls-unknown"] * n_unknown
    return [
        Clip(f"calls-{i}", Path(f"{i}.wav"), "calls", ("sad", "bored")[i % 2], name)
        for i, name in enumerate(names)
    ]


@pytest.mark.parametrize(
    ("clips", "expected", "reason"),
    [
        (make_list(0, 12), "random-10", "0 of its speakers are known, .* column 'speaker'"),
        (make_list(2), "random-10", "2 of its speakers are known"),
        (make_list(3), "loso", "each of its 3 speakers is tested in turn"),
        (make_list(10), "loso", "10 speakers"),
        (make_list(11), "speaker-folds", "its 11 speakers are tested in 5 groups"),
    ],
)
def test_a_fitting_protocol_is_chosen(clips: list[Clip], expected: str, reason: str) -> None:
    name, why = choose_protocol(clips)
    assert name == expected
    assert re.search(reason, why)


def test_unknown_speakers_make_a_score_speaker_dependent() -> None:
    known = make_protocol("loso", make_list(4))
    assert doubt_speakers(known) is known
    unknown = [replace(clip, name=f"more-{clip.name}") for clip in make_list(0, 3)]
    doubted = doubt_speakers(add_training_clips(known, unknown))
    assert not doubted.speaker_independent
    assert "3 clips do not say who speaks" in doubted.notes[0]


@pytest.mark.parametrize("name", ["loso", "speaker-folds"])
def test_empty_speaker_cells_are_refused_with_their_number(name: str) -> None:
    with pytest.raises(ProtocolError, match="3 of 17 clips do not say who speaks.*random-10") as no:
        make_protocol(name, make_list(7, 3))
    assert no.value.code == "protocol.speaker_unknown"
    assert not make_protocol("random-10", make_list(7, 3)).speaker_independent


def test_labels_are_those_of_all_clips() -> None:
    protocol = make_protocol("loso", make_list(5))
    assert protocol.labels == ("sad", "bored")
    check_labels(protocol)
    assert describe_rare_labels(protocol) == ()
    assert make_protocol("reference", CLIPS).labels == EMOTIONS
    calm = [replace(clip, emotion="calm") for clip in make_list(5)]
    with pytest.raises(ProtocolError, match="all 6 training clips are labelled calm; expected two"):
        check_labels(make_protocol("loso", calm))
    one = [replace(make_list(5)[0], emotion="calm"), *make_list(5)[1:]]
    (note,) = describe_rare_labels(make_protocol("loso", one))
    assert note.startswith("fewer than two training clips in at least one fold: calm;")


def test_speaker_dependent_protocols_say_so() -> None:
    for name, description in PROTOCOLS.items():
        if name not in ("everything", "loco"):
            independent = make_protocol(name, CLIPS, n_splits=1).speaker_independent
            assert independent == (name in SPEAKER_INDEPENDENT)
            kind = "speaker-independent" if independent else "speaker-dependent"
            assert description.endswith(kind)


def test_first_splits_are_kept_and_said() -> None:
    whole = make_protocol("emobox-6", CLIPS)
    cut = make_protocol("emobox-6", CLIPS, n_splits=2)
    assert cut.folds == whole.folds[:2]
    assert cut.description == f"{whole.description}; only the first 2 of 6 folds"
    assert make_protocol("emobox-6", CLIPS, n_splits=6) == whole
    assert make_protocol("emobox-6", CLIPS, n_splits=99) == whole


@pytest.mark.parametrize(
    ("name", "clips", "n_splits", "message"),
    [
        ("emobox", CLIPS, None, "no protocol named 'emobox'; known: reference, .*emobox-6"),
        ("reference", CLIPS[60:], None, "needs RAVDESS actors 1-4; found 2, 3, 4"),
        ("unseen-words", CLIPS[:600], None, "needs RAVDESS' speakers 11, 12"),
        ("seen-words", CLIPS[::4], None, "found 1 sentences: use emobox-6 or loso instead"),
        ("seen-words", [replace(CLIPS[0], sentence=None)], None, "found 0 sentences"),
        ("unseen-words", [*CLIPS, NAMELESS], None, "names one of two sentences for every clip"),
        (
            "reference",
            [],
            None,
            "found none; for another corpus, name loso, speaker-f",
        ),
        (
            "random-10",
            CLIPS[:9],
            None,
            "found 9: add recordings, or name .* everything",
        ),
        ("emobox-6", CLIPS[:600], None, "needs RAVDESS' speakers 11, 12, .*, 24; none .*name loso"),
        ("luna-5", CLIPS[60:], None, "needs RAVDESS' speakers 1; none"),
        ("loso", CLIPS[:120], None, "at least 3 known speakers; found 2 .*: say who speaks in a c"),
        (
            "loso",
            [],
            None,
            "found 0 among 0 clips: .*, or use random-10, whose",
        ),
        ("speaker-folds", CLIPS[:240], None, "at least 5 known speakers; found 4 .*: use loso"),
        ("loso", CLIPS, 0, "0 splits requested of loso; expected at least 1"),
        ("everything", [], None, "everything, fold 01: no training clip is left"),
        ("everything", [CLIPS[0], CLIPS[0]], None, "clip 03-01-01-01-01-01-01 is in it twice"),
    ],
)
def test_what_cannot_be_split_is_refused(
    name: str, clips: list[Clip], n_splits: int | None, message: str
) -> None:
    with pytest.raises(ProtocolError, match=message):
        make_protocol(name, clips, n_splits=n_splits)


def test_three_speakers_are_enough_to_leave_one_out() -> None:
    for fold in make_protocol("loso", CLIPS[:180]).folds:
        roles = [list_speakers(clips) for clips in (fold.train, fold.validation, fold.test)]
        assert [len(speakers) for speakers in roles] == [1, 1, 1]
        assert set.union(*roles) == {"1", "2", "3"}


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name not in ("loso", "loco")])
def test_written_split_reads_back(name: str, tmp_path: Path) -> None:
    protocol = make_protocol(name, CLIPS)
    path = tmp_path / "split.csv"
    path.write_text(format_split(protocol), encoding="utf-8")
    assert read_folds(path, CLIPS) == protocol.folds
    assert path.read_text().startswith("clip,fold,role\n03-01-")


@given(n_folds=st.integers(1, 120))
@settings(max_examples=10, deadline=None)
def test_many_folds_keep_their_order(
    n_folds: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folds = tuple(
        Fold(f"{i + 1:02d}", (CLIPS[i],), (CLIPS[i + 1],), (CLIPS[i + 2],)) for i in range(n_folds)
    )
    path = tmp_path_factory.mktemp("split") / "split.csv"
    path.write_text(format_split(Protocol("many", 1, "", False, folds)))
    assert read_folds(path, CLIPS) == folds


def write_split(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(["clip,fold,role", *rows]) + "\n", encoding="utf-8")
    return path


ACTOR_1, ACTOR_1_TOO, ACTOR_2, ACTOR_3 = (CLIPS[i].name for i in (0, 1, 60, 120))


def test_custom_split_is_named_after_its_file(tmp_path: Path) -> None:
    path = write_split(
        tmp_path / "mine.csv",
        f"{ACTOR_2},b,train",
        f"{ACTOR_1},a,train",
        f"{ACTOR_2},a,validation",
        f"{ACTOR_3},a,test",
        f"{ACTOR_1},b,test",
    )
    protocol = read_split(path, CLIPS)
    assert (protocol.name, protocol.version) == ("custom-mine", 1)
    assert protocol.speaker_independent
    assert protocol.folds == (
        Fold("01", (CLIPS[0],), (CLIPS[60],), (CLIPS[120],)),
        Fold("02", (CLIPS[60],), (), (CLIPS[0],)),
    )


@pytest.mark.parametrize("role", ["train", "validation"])
def test_shared_speakers_are_refused_without_leave(tmp_path: Path, role: str) -> None:
    path = write_split(
        tmp_path / "mine.csv",
        f"{ACTOR_2},01,train",
        f"{ACTOR_1},01,{role}",
        f"{ACTOR_1_TOO},01,test",
    )
    with pytest.raises(ProtocolError, match="speakers 1 are in training.*--allow-speaker-overlap"):
        read_split(path, CLIPS)
    protocol = read_split(path, CLIPS, allow_speaker_overlap=True)
    assert not protocol.speaker_independent
    assert find_shared_speakers(protocol.folds[0]) == ["1"]


def test_leave_that_is_not_needed_changes_nothing(tmp_path: Path) -> None:
    path = write_split(tmp_path / "mine.csv", f"{ACTOR_1},1,train", f"{ACTOR_2},1,test")
    protocol = read_split(path, CLIPS, allow_speaker_overlap=True)
    assert protocol.speaker_independent
    assert protocol == read_split(path, CLIPS)


def test_no_leave_lets_a_clip_train_and_be_tested(tmp_path: Path) -> None:
    path = write_split(tmp_path / "mine.csv", f"{ACTOR_1},1,train", f"{ACTOR_1},1,test")
    with pytest.raises(ProtocolError, match=f"fold 01: clip {ACTOR_1} is in it twice"):
        read_split(path, CLIPS, allow_speaker_overlap=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows; expected clip,fold,role"),
        ("clip,fold,role\n", "no rows; expected clip,fold,role"),
        (f"{ACTOR_1},1,train\n{ACTOR_2},1,test\n", "line 2: found .*expected clip,fold,role"),
        (f"clip,fold,role\n{ACTOR_1},1\n", "line 2: found .*role train, validation or test"),
        (f"clip,fold,role\n{ACTOR_1},,train\n", "line 2: found"),
        (f"clip,fold,role\n{ACTOR_1},1,train\n,1,test\n", "line 3: found"),
        (f"clip,fold,role\n{ACTOR_1},1,Train\n", "line 2: found .*'Train'"),
        (f"clip;fold;role\n{ACTOR_1};1;train\n", "line 2: found"),
        ("clip,fold,role\nnobody,1,train\n", "line 2: no clip 'nobody' in the corpus"),
        (f"clip,fold,role\n{ACTOR_1},1,test\n", "fold 01: no training clip is left"),
        ("clip,fold,role\n\0\n", "mine.csv"),
    ],
)
def test_malformed_splits_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ProtocolError, match=message):
        read_split(path, CLIPS)


def test_unreadable_splits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match=r"none\.csv: cannot read the split"):
        read_split(tmp_path / "none.csv", CLIPS)
    path = tmp_path / "latin.csv"
    path.write_bytes(b"clip,fold,role\n\xe9,1,train\n")
    with pytest.raises(ProtocolError, match=r"latin\.csv: cannot read the split"):
        read_split(path, CLIPS)


def test_a_spreadsheets_byte_order_mark_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    text = f"clip,fold,role,note\r\n{ACTOR_1},1,train,loud\r\n"
    path.write_text(text, encoding="utf-8-sig", newline="")
    assert read_folds(path, CLIPS) == (Fold("01", (CLIPS[0],), (), ()),)


def test_a_protocol_that_claims_independence_is_checked() -> None:
    fold = Fold("01", (CLIPS[0],), (), (CLIPS[1],))
    with pytest.raises(ProtocolError, match="speakers 1 are in training and in the test"):
        check_folds(Protocol("claimed", 1, "", True, (fold,)))
    check_folds(Protocol("admitted", 1, "", False, (fold,)))


def test_every_protocol_is_listed_with_its_builder() -> None:
    for name in ONE_CORPUS:
        assert protocols.build_protocol(name, CLIPS).name == name


@pytest.mark.corpus
def test_real_listing_gives_the_same_splits(ravdess: Path) -> None:
    clips = read_ravdess(find_ravdess(ravdess))
    for name in ONE_CORPUS:
        real, made = make_protocol(name, clips), make_protocol(name, CLIPS)
        assert format_split(real) == format_split(made)
    (fold,) = make_protocol("reference", clips).folds
    assert count_sizes(fold) == (168, 36, 36)
    assert all(clip.path.is_file() for clip in fold.test)
