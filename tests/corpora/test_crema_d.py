from collections import Counter
from pathlib import Path

import pytest

from emovox.corpora.clips import Clip
from emovox.corpora.combine import join_listings
from emovox.corpora.crema_d import find_winner, list_cremad, list_cremad_heard
from emovox.corpora.registry import find_corpus
from emovox.errors import CorpusError

HEADER = '"","A","D","F","H","N","S","fileName","numResponses"\n'
ROWS = (
    '"100001",1,0,0,0,8,1,"1001_DFA_ANG_XX",10\n'
    '"200001",9,0,0,0,1,0,"1001_DFA_ANG_XX",10\n'
    '"300001",9,0,0,0,1,0,"1001_DFA_ANG_XX",10\n'
    '"100002",0,0,5,0,5,0,"1002_IEO_FEA_HI",10\n'
    '"100003",0,0,0,1,2,7,"1040_ITH_SAD_XX",10\n'
    '"100004",0,0,0,9,0,1,"1006_TIE_HAP_XX",10\n'
)
FILES = ("1001_DFA_ANG_XX", "1002_IEO_FEA_HI", "1040_ITH_SAD_X", "1006_TIE_HAP_XX")
TWIN = ("twin under another label in the source", 1)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Return a small CREMA-D in the published layout."""
    (tmp_path / "AudioWAV").mkdir()
    for name in FILES:
        (tmp_path / "AudioWAV" / f"{name}.wav").touch()
    (tmp_path / "processedResults").mkdir()
    (tmp_path / "processedResults" / "tabulatedVotes.csv").write_text(HEADER + ROWS)
    return tmp_path


def count_votes(clip: Clip) -> dict[str, int]:
    return {emotion: n for emotion, n in clip.votes if n}


def test_clips_have_the_votes_of_those_who_heard_the_voice_alone(corpus: Path) -> None:
    listing = list_cremad(corpus)
    assert [clip.emotion for clip in listing.clips] == ["angry", "fearful", "sad"]
    assert [count_votes(clip) for clip in listing.clips] == [
        {"neutral": 8, "sad": 1, "angry": 1},
        {"neutral": 5, "fearful": 5},
        {"neutral": 2, "happy": 1, "sad": 7},
    ]
    assert [emotion for emotion, _ in listing.clips[0].votes] == [
        *("neutral", "happy", "sad", "angry", "fearful", "disgust"),
    ]
    assert listing.skipped == (TWIN,)


def test_heard_is_the_emotion_of_most_listeners_and_ties_are_counted(corpus: Path) -> None:
    intended, heard = list_cremad(corpus), list_cremad_heard(corpus)
    assert [(clip.name, clip.emotion) for clip in heard.clips] == [
        ("cremad-1001_DFA_ANG_XX", "neutral"),
        ("cremad-1040_ITH_SAD_X", "sad"),
    ]
    assert {clip.corpus for clip in heard.clips} == {heard.corpus} == {"cremad-heard"}
    assert heard.skipped == (TWIN, ("listeners are tied", 1))
    assert heard.clips[0].speaker == intended.clips[0].speaker == "cremad-1001"
    joined = join_listings([intended, heard])
    assert [len(listing.clips) for listing in joined] == [3, 0]


def test_votes_are_found_beside_the_recordings(corpus: Path) -> None:
    assert all(clip.votes for clip in list_cremad(corpus / "AudioWAV").clips)


def test_without_votes_only_the_intention_is_read(corpus: Path) -> None:
    (corpus / "processedResults" / "tabulatedVotes.csv").unlink()
    assert [clip.votes for clip in list_cremad(corpus).clips] == [()] * 3
    with pytest.raises(CorpusError, match=r"found no tabulatedVotes\.csv.* or use the corpus crem"):
        list_cremad_heard(corpus)
    (corpus / "empty").mkdir()
    assert list_cremad_heard(corpus / "empty").clips == ()


def test_a_clip_without_listeners_is_counted(corpus: Path) -> None:
    (corpus / "AudioWAV" / "1003_DFA_ANG_XX.wav").touch()
    assert list_cremad_heard(corpus).skipped[-1] == ("no listener", 1)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a,b\n1,2\n", "found no column '', fileName, N, H, S, A, F, D"),
        (HEADER + ROWS.replace(",8,", ",many,"), "'many'"),
        (HEADER + ROWS.replace(",8,", ",,"), "cannot be read"),
    ],
)
def test_damaged_votes_are_refused(text: str, found: str, corpus: Path) -> None:
    (corpus / "processedResults" / "tabulatedVotes.csv").write_text(text)
    with pytest.raises(CorpusError, match=found):
        list_cremad(corpus)


def test_the_winner_has_more_votes_than_any_other() -> None:
    assert find_winner((("sad", 1), ("angry", 0))) == "sad"
    assert find_winner((("sad", 2), ("angry", 1), ("happy", 2))) is None


@pytest.mark.corpus
def test_listeners_of_the_real_corpus_hear_most_voices_as_neutral(ravdess: Path) -> None:
    intended = {clip.name: clip for clip in find_corpus("cremad", ravdess).clips}
    heard = find_corpus("cremad-heard", ravdess)
    assert (len(intended), len(heard.clips)) == (7436, 6792)
    assert all(clip.votes for clip in intended.values())
    assert sum(intended[clip.name].emotion == clip.emotion for clip in heard.clips) == 3096
    assert Counter(clip.emotion for clip in heard.clips)["neutral"] == 3894
    assert dict(heard.skipped)["listeners are tied"] == 644
