from dataclasses import replace
from pathlib import Path

import pytest

from emovox.corpora.clips import LISTED_BEFORE, LISTED_TWICE, Clip, CorpusListing
from emovox.corpora.combine import (
    add_training_clips,
    find_copies,
    join_listings,
)
from emovox.corpora.folds import check_folds
from emovox.corpora.protocols import make_protocol
from emovox.corpora.ravdess import list_ravdess_names, list_song, parse_ravdess_name
from emovox.errors import CorpusError


def make_clip(name: str, path: str | None = None, corpus: str = "ravdess") -> Clip:
    speaker = str(parse_ravdess_name(name).actor) if name[0] == "0" else f"{corpus}-x"
    return Clip(name, Path(path or f"/{corpus}/{name}.wav"), corpus, "sad", speaker)


SPEECH = [make_clip(name) for name in list_ravdess_names()]
SONGS = [
    replace(make_clip(f"03-02-{clip.name[6:]}"), corpus="ravdess-song")
    for clip in SPEECH
    if clip.name[6:8] < "07"
]
OTHERS = [make_clip(f"nemo-{n}", corpus="nemo") for n in range(10)]


@pytest.mark.parametrize("name", ["emobox-6", "luna-5", "loso"])
def test_songs_of_validation_and_test_actors_never_train(name: str) -> None:
    alone = make_protocol(name, SPEECH)
    both = add_training_clips(alone, [*SONGS, *OTHERS])
    check_folds(both)
    for fold, plain in zip(both.folds, alone.folds, strict=True):
        assert (fold.test, fold.validation) == (plain.test, plain.validation)
        assert fold.train[: len(plain.train)] == plain.train
        held_out = {clip.speaker for clip in (*fold.test, *fold.validation)}
        assert {clip.speaker for clip in fold.train} & held_out == set()
        sung = [clip for clip in fold.train if clip.corpus == "ravdess-song"]
        assert len(sung) == 44 * (24 - len(held_out))
        assert fold.train[-10:] == tuple(OTHERS)


def test_songs_of_known_voices_do_not_train_either() -> None:
    (fold,) = add_training_clips(make_protocol("reference", SPEECH), SONGS).folds
    sung = {clip.speaker for clip in fold.train if clip.corpus == "ravdess-song"}
    assert sung == {str(actor) for actor in range(5, 25)}


def test_a_recording_counts_in_the_first_corpus_that_lists_it(tmp_path: Path) -> None:
    (tmp_path / "real.wav").touch()
    (tmp_path / "link.wav").symlink_to(tmp_path / "real.wav")
    first = CorpusListing("a", tmp_path, (SPEECH[0], make_clip("a-1", f"{tmp_path}/real.wav")))
    copy = replace(SPEECH[0], path=Path("/elsewhere.wav"))
    more = (copy, make_clip("b-1", f"{tmp_path}/link.wav"), make_clip("b-2"))
    joined = join_listings([first, CorpusListing("b", tmp_path, more)])
    assert joined[0] == first
    assert [clip.name for clip in joined[1].clips] == ["b-2"]
    assert joined[1].describe_unused() == ["b: 2 not used: listed by an earlier corpus too"]


def test_equal_bytes_are_one_recording_in_lists_of_ones_own(tmp_path: Path) -> None:
    for name, content in (("1", b"abc"), ("2", b"abd"), ("3", b"abc"), ("4", b""), ("5", b"")):
        (tmp_path / name).write_bytes(content)
    clips = [make_clip(f"own-{n}", f"{tmp_path}/{n}", "own") for n in range(1, 6)]
    assert {path.name: clip.name for path, clip in find_copies(clips).items()} == {"3": "own-1"}
    (joined,) = join_listings([CorpusListing("own", tmp_path, tuple(clips))])
    assert [clip.name for clip in joined.clips] == ["own-1", "own-2", "own-4", "own-5"]
    assert joined.skipped == ((LISTED_TWICE, 1),)
    first, second = (
        CorpusListing(corpus, tmp_path, (replace(clip, corpus=corpus),))
        for corpus, clip in (("nemo", clips[0]), ("own", clips[2]))
    )
    assert join_listings([first, second])[1].skipped == ((LISTED_BEFORE, 1),)
    # Those who made a known corpus are trusted: its files are not read.
    known = tuple(replace(clip, corpus="nemo") for clip in clips)
    assert join_listings([CorpusListing("nemo", tmp_path, known)])[0].clips == known
    wrong = replace(clips[2], emotion="calm")
    with pytest.raises(CorpusError, match=r"/3 is calm, but .*/1, the same recording, is sad; exp"):
        join_listings([CorpusListing("own", tmp_path, (clips[0], wrong))])


def test_speakers_of_one_name_in_two_lists_never_train_for_their_own_test() -> None:
    def make_list(corpus: str) -> list[Clip]:
        return [
            replace(make_clip(f"{corpus}-{who}{n}", None, corpus), speaker=f"{corpus}-{who}")
            for who in ("ann", "bob", "eve", "unknown")
            for n in range(3)
        ]

    speakers = [clip for clip in make_list("a") if clip.has_speaker]
    for fold in add_training_clips(make_protocol("loso", speakers), make_list("b")).folds:
        (test,) = {clip.speaker.removeprefix("a-") for clip in fold.test}
        trained = {clip.speaker for clip in fold.train if clip.corpus == "b"}
        assert f"b-{test}" not in trained
        assert len(trained) == 2
        assert "b-unknown" in trained


def test_two_recordings_of_one_name_are_refused() -> None:
    listings = [
        CorpusListing("calls", Path(f"/{where}/calls.csv"), (make_clip("calls-1", f"/{where}/1"),))
        for where in "ab"
    ]
    with pytest.raises(CorpusError, match=r"/a/1 and /b/1 would both be named calls-1; rename /b/"):
        join_listings(listings)


def test_songs_are_read_from_the_official_layout(tmp_path: Path) -> None:
    folder = tmp_path / "Audio_Song_Actors_01-24" / "Actor_12"
    folder.mkdir(parents=True)
    for name in ("03-02-06-02-01-02-12", "03-01-06-02-01-02-12", "01-02-06-02-01-02-12"):
        (folder / f"{name}.wav").touch()
    (clip,) = list_song(tmp_path).clips
    assert (clip.name, clip.corpus, clip.speaker) == ("03-02-06-02-01-02-12", "ravdess-song", "12")
    assert (clip.emotion, clip.gender) == ("fearful", "female")


@pytest.mark.corpus
def test_the_real_songs_are_by_the_same_actors(ravdess: Path) -> None:
    clips = list_song(ravdess / "ravdess").clips
    assert len(clips) == 1009
    assert {clip.speaker for clip in clips} == {str(n) for n in range(1, 25) if n != 18}
