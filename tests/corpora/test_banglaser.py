"""RAVDESS and BanglaSER name their files alike: neither may take the other's."""

from pathlib import Path

import pytest

from emovox.corpora.banglaser import is_banglaser, list_banglaser
from emovox.corpora.class_folders import read_class_folders
from emovox.corpora.locate import find_ravdess
from emovox.corpora.manifest import read_manifest
from emovox.corpora.ravdess import holds_ravdess, scan_ravdess
from emovox.corpora.read import read_corpus
from emovox.errors import CorpusError

SAME = "03-01-05-01-01-01-03"
"""Angry in RAVDESS, neutral in BanglaSER."""

OWN, RAVDESS = "03-01-03-02-03-01-34", "03-01-06-01-01-01-03"


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.wav").touch()
    return folder


def test_a_name_says_emotion_speaker_and_sentence(tmp_path: Path) -> None:
    first, second = list_banglaser(touch(tmp_path, OWN, SAME)).clips
    assert (first.name, first.speaker) == (f"banglaser-{OWN}", "banglaser-34")
    assert (first.emotion, first.gender, first.intensity) == ("angry", "female", "strong")
    assert (first.sentence, first.repetition) == ("এ কেমন উপহার", 1)
    assert (second.emotion, second.speaker, second.gender) == ("neutral", "banglaser-03", "male")


def test_each_corpus_takes_its_own_folder_of_both(tmp_path: Path) -> None:
    touch(tmp_path / "x", OWN, SAME)
    touch(tmp_path / "y", RAVDESS, SAME)
    assert [clip.path.parent.name for clip in list_banglaser(tmp_path).clips] == ["x", "x"]
    listing = scan_ravdess(tmp_path)
    assert [(clip.path.parent.name, clip.emotion) for clip in listing.clips] == [
        ("y", "angry"),
        ("y", "fearful"),
    ]
    assert [path.parent.name for path in listing.strays] == ["x", "x"]


def test_names_that_both_have_are_of_the_corpus_that_the_nearest_folder_names(
    tmp_path: Path,
) -> None:
    touch(tmp_path / "BanglaSER" / "Actor 3", SAME)
    touch(tmp_path / "BanglaSER" / "ravdess", SAME)
    (clip,) = list_banglaser(tmp_path).clips
    assert clip.path.parent.name == "Actor 3"
    (clip,) = scan_ravdess(tmp_path).clips
    assert clip.path.parent.name == "ravdess"
    assert scan_ravdess(touch(tmp_path / "neither", SAME)).clips
    assert not list_banglaser(tmp_path / "neither").clips


def test_a_folder_of_banglaser_is_not_found_as_ravdess(tmp_path: Path) -> None:
    folder = touch(tmp_path / "clips", OWN, SAME)
    assert not holds_ravdess(folder)
    with pytest.raises(CorpusError, match="no RAVDESS speech clip found"):
        find_ravdess(folder)
    assert len(read_corpus("banglaser", folder).clips) == 2
    with pytest.raises(CorpusError, match="no clip of BanglaSER found"):
        read_corpus("banglaser", touch(tmp_path / "others", RAVDESS, SAME))


def test_one_folder_with_both_is_refused_unless_its_name_says_which(tmp_path: Path) -> None:
    folder = touch(tmp_path / "mixed", OWN, RAVDESS, SAME)
    for read in (scan_ravdess, list_banglaser):
        with pytest.raises(CorpusError, match=f"both RAVDESS .{RAVDESS}.* and BanglaSER .{OWN}"):
            read(folder)
    named = touch(tmp_path / "ravdess", OWN, RAVDESS, SAME)
    assert len(scan_ravdess(named).clips) == 2
    assert not is_banglaser(str(named), [f"{OWN}.wav", f"{RAVDESS}.wav"])


def test_lists_keep_the_speakers_of_the_folder(tmp_path: Path) -> None:
    touch(tmp_path / "x" / "happy", OWN, SAME)
    manifest = tmp_path / "list.csv"
    manifest.write_text(f"file,emotion\nx/happy/{SAME}.wav,neutral\n")
    (clip,) = read_manifest(manifest).clips
    assert (clip.name, clip.speaker) == (f"banglaser-{SAME}", "banglaser-03")
    touch(tmp_path / "y", RAVDESS, SAME)
    manifest.write_text(f"file,emotion\ny/{SAME}.wav,angry\n")
    (clip,) = read_manifest(manifest).clips
    assert (clip.name, clip.speaker) == (SAME, "3")


def test_folders_without_emotions_take_the_labels_of_the_names(tmp_path: Path) -> None:
    touch(tmp_path / "mine" / "BanglaSER", OWN, SAME)
    clips = read_class_folders(tmp_path / "mine").clips
    assert {clip.name: clip.emotion for clip in clips} == {
        f"banglaser-{OWN}": "angry",
        f"banglaser-{SAME}": "neutral",
    }
