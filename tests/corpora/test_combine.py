from dataclasses import replace
from pathlib import Path

import pytest

from emovox.corpora.clips import Clip, CorpusListing
from emovox.corpora.combine import add_training_clips, join_listings
from emovox.corpora.protocols import check_folds, make_protocol
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
    (fold,) = add_training_clips(make_protocol("everything", SPEECH), SONGS).folds
    assert len(fold.train) == len(SPEECH) + len(SONGS)


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
