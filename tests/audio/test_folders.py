"""The one walker: what it finds, in which order, and what it passes over."""

from collections import Counter
from pathlib import Path

import pytest

from emovox.audio.folders import AUDIO_SUFFIXES, list_audio_files, walk_audio
from emovox.corpora.folders import rank_copy, walk_corpus
from emovox.errors import AudioError, CorpusError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_numbers_in_names_count_as_numbers(tmp_path: Path) -> None:
    names = ["clip.wav", "clip_1.wav", "clip_2.wav", "clip_10.wav", "clip_010b.wav", "7.wav"]
    touch(tmp_path, *names, "set 10/a.wav", "set 9/a.wav")
    found = [path.relative_to(tmp_path).as_posix() for path in list_audio_files(tmp_path)]
    assert found == [
        "7.wav",
        "clip.wav",
        "clip_1.wav",
        "clip_2.wav",
        "clip_10.wav",
        "clip_010b.wav",
        "set 9/a.wav",
        "set 10/a.wav",
    ]


def test_other_files_are_counted_by_ending_and_hidden_ones_are_not(tmp_path: Path) -> None:
    touch(tmp_path, "a.WAV", "film.MKV", "b.txt", "c.TXT", "README", "d/e.jpg")
    touch(tmp_path, ".hidden.txt", ".git/f.txt", "__MACOSX/g.txt")
    passed_over: Counter[str] = Counter()
    files = list_audio_files(tmp_path, passed_over)
    assert [path.name for path in files] == ["a.WAV", "film.MKV"]
    assert passed_over == {".txt": 2, "": 1, ".jpg": 1}


def test_a_hidden_folder_that_is_named_is_searched(tmp_path: Path) -> None:
    touch(tmp_path, ".recordings/tone.wav")
    assert list_audio_files(tmp_path / ".recordings") == [tmp_path / ".recordings" / "tone.wav"]


def test_a_linked_folder_is_walked_once(tmp_path: Path) -> None:
    touch(tmp_path, "a/b.wav")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert [depth for depth, _ in walk_audio(tmp_path)] == [1]


def test_a_folder_that_cannot_be_used_has_a_code(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(AudioError, match="contains no audio files; expected some of") as found:
        list_audio_files(tmp_path)
    assert (found.value.code, found.value.source) == ("audio.no_files", str(tmp_path))
    for folder in (tmp_path / "none", tmp_path / "notes.txt"):
        with pytest.raises(AudioError, match="no such folder; expected one with") as found:
            list_audio_files(folder)
        assert found.value.code == "audio.not_found"


def test_a_corpus_that_cannot_be_walked_is_a_corpus_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="cannot be listed .No such file") as found:
        list(walk_corpus(tmp_path / "none"))
    assert found.value.code == "corpus.unreadable"
    assert found.value.detail.startswith("cannot be listed")


def test_the_nearest_and_then_the_better_format_of_copies_comes_first() -> None:
    copies = [(1, "a/x.wav"), (0, "x.mp3"), (0, "x.WAV"), (0, "x.mkv")]
    assert sorted(copies, key=lambda copy: rank_copy(*copy)) == [
        (0, "x.WAV"),
        (0, "x.mp3"),
        (0, "x.mkv"),
        (1, "a/x.wav"),
    ]


def test_endings_are_lower_case_with_a_dot_and_named_once() -> None:
    assert {".wav", ".flac", ".m4a", ".webm", ".opus", ".mkv", ".avi"} <= set(AUDIO_SUFFIXES)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in AUDIO_SUFFIXES)
    assert len(set(AUDIO_SUFFIXES)) == len(AUDIO_SUFFIXES)
