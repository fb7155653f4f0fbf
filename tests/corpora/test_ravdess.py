"""RAVDESS names and folders: every layout a user's copy may have, each clip once."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emovox.corpora.ravdess import (
    RAVDESS_CLIPS,
    holds_ravdess,
    list_ravdess_names,
    parse_ravdess_name,
    read_ravdess,
    scan_ravdess,
)
from emovox.errors import CorpusError
from emovox.labels import EMOTIONS

FIELDS = st.tuples(
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(1, 8),
    st.integers(1, 2),
    st.integers(1, 2),
    st.integers(1, 2),
    st.integers(1, 24),
)
MOST = (3, 2, 8, 2, 2, 2, 24)


def touch(folder: Path, *files: str) -> None:
    """Make empty files: reading a listing must not open them."""
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def test_name_says_all_seven_fields() -> None:
    name = parse_ravdess_name("03-01-06-02-01-02-12")
    assert (name.modality, name.channel, name.emotion) == ("audio", "speech", "fearful")
    assert (name.intensity, name.repetition, name.actor) == ("strong", 2, 12)
    assert name.sentence == "Kids are talking by the door"
    assert name.gender == "female"
    assert name.is_speech_audio


@settings(deadline=None)  # a loaded machine may pause any example
@given(FIELDS)
def test_any_valid_codes_are_read_back(fields: tuple[int, ...]) -> None:
    text = "-".join(f"{field:02d}" for field in fields)
    if fields[2] == 1 and fields[3] == 2:
        with pytest.raises(CorpusError, match="neutral has intensity 01 only"):
            parse_ravdess_name(text)
        return
    name = parse_ravdess_name(text)
    assert name.emotion == EMOTIONS[fields[2] - 1]
    assert name.intensity == ("normal", "strong")[fields[3] - 1]
    assert (name.repetition, name.actor) == (fields[5], fields[6])
    assert name.gender == ("female", "male")[fields[6] % 2]
    assert name.is_speech_audio == (fields[:2] == (3, 1))


@given(st.lists(st.integers(0, 99), min_size=7, max_size=7))
def test_a_name_is_valid_exactly_when_each_code_is(fields: list[int]) -> None:
    valid = all(1 <= field <= most for field, most in zip(fields, MOST, strict=True))
    valid = valid and fields[2:4] != [1, 2]
    text = "-".join(f"{field:02d}" for field in fields)
    if valid:
        assert parse_ravdess_name(text).actor == fields[6]
    else:
        with pytest.raises(CorpusError, match="is not a RAVDESS name"):
            parse_ravdess_name(text)


@given(st.text())
def test_other_text_is_refused_as_a_corpus_error(text: str) -> None:
    with pytest.raises(CorpusError, match="is not a RAVDESS name"):
        parse_ravdess_name(text)


@pytest.mark.parametrize(
    "name",
    ["03-01-06-02-01-02", "03-01-06-02-01-02-12 (1)", "3-1-6-2-1-2-12", "03-01-06-02-01-02-12\n"]
    + ["٠٣-٠١-٠٦-٠٢-٠١-٠٢-١٢"],
)
def test_near_misses_are_refused(name: str) -> None:
    with pytest.raises(CorpusError, match="expected seven two-digit fields"):
        parse_ravdess_name(name)


def test_the_whole_corpus_has_the_published_counts() -> None:
    names = [parse_ravdess_name(name) for name in list_ravdess_names()]
    assert len(set(list_ravdess_names())) == RAVDESS_CLIPS
    assert set(Counter(name.actor for name in names).values()) == {60}
    emotions = Counter(name.emotion for name in names)
    assert emotions.pop("neutral") == 96
    assert set(emotions.values()) == {192}


def test_official_layout_is_sorted_by_actor_number_then_name(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "Actor_10/03-01-01-01-01-01-10.wav",
        "Actor_02/03-01-02-01-01-01-02.wav",
        "Actor_02/03-01-01-01-01-02-02.WAV",
    )
    clips = read_ravdess(tmp_path)
    assert [clip.name for clip in clips] == [
        "03-01-01-01-01-02-02",
        "03-01-02-01-01-01-02",
        "03-01-01-01-01-01-10",
    ]
    assert [clip.speaker for clip in clips] == ["2", "2", "10"]
    assert clips[0].path == tmp_path / "Actor_02/03-01-01-01-01-02-02.WAV"
    assert (clips[0].corpus, clips[0].emotion, clips[0].gender) == ("ravdess", "neutral", "female")
    assert (clips[0].intensity, clips[0].repetition) == ("normal", 2)


def test_kaggle_mirror_counts_each_clip_once_and_takes_the_outer_copy(tmp_path: Path) -> None:
    for name in list_ravdess_names():
        file = f"Actor_{name[-2:]}/{name}.wav"
        touch(tmp_path, file, f"audio_speech_actors_01-24/{file}")
    listing = scan_ravdess(tmp_path)
    assert tuple(clip.name for clip in listing.clips) == list_ravdess_names()
    assert len(listing.duplicates) == RAVDESS_CLIPS
    assert all("audio_speech_actors_01-24" in path.parts for path in listing.duplicates)
    assert listing.strays == listing.misplaced == ()


def test_loose_files_and_flac_copies_are_read_and_wav_comes_first(tmp_path: Path) -> None:
    name = "03-01-05-01-01-01-03"
    touch(tmp_path, f"{name}.flac", f"{name}.wav", f"{name}.mp3", "03-01-05-01-01-01-04.flac")
    assert [clip.path.name for clip in read_ravdess(tmp_path)] == [
        f"{name}.wav",
        "03-01-05-01-01-01-04.flac",
    ]


def test_songs_videos_and_hidden_files_are_not_clips(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "03-01-05-01-01-01-03.wav",
        "song16k/Actor_03/03-02-05-01-01-01-03.opus",
        "01-01-05-01-01-01-03.wav",
        "01-01-05-01-01-01-07.mp4",
        "03-01-05-01-01-01-07.txt",
        "._03-01-05-01-01-01-07.wav",
        "__MACOSX/Actor_07/03-01-05-01-01-01-07.wav",
        ".partial/03-01-05-01-01-01-07.wav",
    )
    listing = scan_ravdess(tmp_path)
    assert [clip.name for clip in listing.clips] == ["03-01-05-01-01-01-03"]
    assert listing.strays == ()


def test_a_name_that_contradicts_its_folder_is_reported_and_yields_to_a_right_copy(
    tmp_path: Path,
) -> None:
    right, wrong, only = (
        "deep/down/Actor_03/03-01-05-01-01-01-03.wav",
        "Actor_04/03-01-05-01-01-01-03.wav",
        "Actor_04/03-01-06-01-01-01-05.wav",
    )
    touch(tmp_path, right, wrong, only)
    listing = scan_ravdess(tmp_path)
    assert [clip.path for clip in listing.clips] == [tmp_path / right, tmp_path / only]
    assert listing.duplicates == (tmp_path / wrong,)
    assert listing.misplaced == (tmp_path / only,)
    assert listing.clips[1].speaker == "5"


def test_impossible_codes_and_copies_by_hand_are_strays(tmp_path: Path) -> None:
    strays = ["03-01-09-01-01-01-03.wav", "03-01-05-01-01-01-03 (1).wav", "take.wav"]
    touch(tmp_path, "03-01-05-01-01-01-03.wav", *strays)
    assert {path.name for path in scan_ravdess(tmp_path).strays} == set(strays)


def test_linked_folders_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    touch(tmp_path / "store", "03-01-05-01-01-01-03.wav")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "Actor_03").symlink_to(tmp_path / "store", target_is_directory=True)
    (tmp_path / "store" / "loop").symlink_to(corpus, target_is_directory=True)
    listing = scan_ravdess(corpus)
    assert [clip.path for clip in listing.clips] == [corpus / "Actor_03/03-01-05-01-01-01-03.wav"]
    assert listing.duplicates == ()


def test_a_folder_without_clips_says_what_to_do(tmp_path: Path) -> None:
    touch(tmp_path, "song/03-02-05-01-01-01-03.wav")
    assert not holds_ravdess(tmp_path)
    with pytest.raises(CorpusError, match="holds no RAVDESS speech clip.*emovox data fetch"):
        read_ravdess(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="nowhere: cannot be listed .No such file"):
        read_ravdess(tmp_path / "nowhere")


@pytest.mark.corpus
def test_the_real_corpus_is_listed_whole_among_songs_and_other_corpora(ravdess: Path) -> None:
    assert tuple(clip.name for clip in read_ravdess(ravdess)) == list_ravdess_names()
