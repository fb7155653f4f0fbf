from collections import Counter
from pathlib import Path

import pytest

from emovox.corpora.nemo import list_nemo
from emovox.corpora.registry import find_corpus
from emovox.errors import CorpusError

HEADER = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"


def write_corpus(folder: Path, rows: str, *files: str) -> Path:
    (folder / "samples").mkdir(parents=True)
    (folder / "data.tsv").write_text(HEADER + rows, encoding="utf-8")
    for name in files:
        (folder / "samples" / name).touch()
    return folder


def test_table_names_wav_where_copies_have_another_ending(tmp_path: Path) -> None:
    rows = 'WR0_surprised_64.wav\tsurprised\tUcho "wykrywa".\tucho\t        WR0\tmale\t23\n'
    (clip,) = list_nemo(write_corpus(tmp_path / "nemo", rows, "WR0_surprised_64.ogg")).clips
    assert (clip.name, clip.speaker, clip.gender) == (
        "nemo-WR0_surprised_64",
        "nemo-WR0",
        "male",
    )
    assert (clip.emotion, clip.sentence) == ("surprised", 'Ucho "wykrywa".')
    assert clip.path == tmp_path / "nemo" / "samples" / "WR0_surprised_64.ogg"


def test_what_cannot_be_used_is_counted(tmp_path: Path) -> None:
    rows = (
        "A_anger_1.wav\tanger\tx\tx\tA\tfemale\t20\n"
        "A_envy_1.wav\tenvy\tx\tx\tA\tfemale\t20\n"
        "A_fear_1.wav\tfear\tx\tx\tA\tfemale\t20\n"
    )
    listing = list_nemo(write_corpus(tmp_path / "nemo", rows, "A_anger_1.wav", "A_envy_1.wav"))
    assert [clip.emotion for clip in listing.clips] == ["angry", "envy"]
    assert listing.skipped == (("named in data.tsv, but not there", 1),)


def test_other_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data.tsv").write_text("file\temotion\n")
    with pytest.raises(CorpusError, match="found no column file_id, raw_text, speaker_id, gender"):
        list_nemo(tmp_path)
    (tmp_path / "data.tsv").write_bytes(b"\xff\xfe")
    with pytest.raises(CorpusError, match="cannot be read"):
        list_nemo(tmp_path)


def test_not_being_there_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no clip of nEMO found in .*--data.*as nemo; put it"):
        find_corpus("nemo", tmp_path)


@pytest.mark.corpus
def test_the_real_corpus_is_read_whole(ravdess: Path) -> None:
    listing = find_corpus("nemo", ravdess)
    assert Counter(clip.emotion for clip in listing.clips) == {
        "neutral": 809,
        "sad": 769,
        "happy": 749,
        "angry": 749,
        "fearful": 736,
        "surprised": 669,
    }
    speakers = {(clip.speaker, clip.gender) for clip in listing.clips}
    assert Counter(gender for _, gender in speakers) == {"male": 5, "female": 4}
    assert not listing.skipped
    assert len({clip.name for clip in listing.clips}) == 4481
