from pathlib import Path

import pytest

from emovox.corpora.read import read_corpus
from emovox.corpora.registry import CORPORA, describe_licence, find_corpus, is_path
from emovox.errors import CorpusError


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with ``data`` and ``cache``, which the environment names."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("EMOVOX_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path / "cache"))
    return tmp_path


def put_clip(folder: Path, name: str = "gio-f1-b1.wav") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()
    return folder


def test_places_are_looked_at_in_order(places: Path) -> None:
    in_cache = put_clip(places / "cache" / "emovo" / "f1")
    assert find_corpus("emovo").source == in_cache.parent
    in_data = put_clip(places / "data" / "EMOVO" / "f1")
    assert find_corpus("emovo").source == in_data.parent
    named = put_clip(places / "elsewhere" / "anything")
    assert find_corpus("emovo", named).source == named
    assert find_corpus("emovo", places / "elsewhere").source == places / "elsewhere"


def test_a_named_folder_is_the_only_place(places: Path) -> None:
    put_clip(places / "data" / "emovo")
    (places / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"no clip of EMOVO found in \S+/empty \(--data\)"):
        find_corpus("emovo", places / "empty")
    with pytest.raises(CorpusError, match=r"nowhere \(--data\) is not a folder"):
        find_corpus("emovo", places / "nowhere")


def test_songs_are_found_beside_speech(places: Path) -> None:
    folder = places / "data" / "ravdess"
    put_clip(folder / "Actor_01", "03-01-05-01-01-01-01.wav")
    put_clip(folder / "Actor_01", "03-02-05-01-01-01-01.wav")
    (speech,) = read_corpus("ravdess").clips
    (song,) = read_corpus("ravdess-song").clips
    assert (speech.name, song.name) == ("03-01-05-01-01-01-01", "03-02-05-01-01-01-01")
    assert (speech.corpus, song.corpus) == ("ravdess", "ravdess-song")
    assert speech.speaker == song.speaker == "1"


@pytest.mark.parametrize(
    ("source", "path"),
    [("nemo", False), ("mine", False), ("./mine", True), ("a.csv", True), ("/a/b", True)],
)
def test_a_path_has_a_slash_or_an_ending(source: str, path: bool) -> None:
    assert is_path(source) is path


def test_names_are_no_paths() -> None:
    assert not any(is_path(name) for name in CORPORA)


def test_licences_of_all_corpora_bind_the_weights() -> None:
    text = describe_licence(["nemo", "cremad", "calls"])
    assert text.startswith("Weights trained on nEMO (CC BY-NC-SA 4.0; Christop I (2024)")
    assert "; CREMA-D (ODbL 1.0, contents DbCL 1.0; " in text
    assert text.endswith("; calls (licence: ask its authors)")
