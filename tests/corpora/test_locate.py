"""Finding RAVDESS: --data, then EMOVOX_DATA, then the cache."""

from pathlib import Path

import pytest

from emovox.corpora.locate import find_cache, find_ravdess
from emovox.errors import CorpusError

CLIP = "Actor_03/03-01-05-01-01-01-03.wav"


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the cache at an empty folder and unset EMOVOX_DATA."""
    monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EMOVOX_DATA", raising=False)
    return tmp_path


def put_clip(folder: Path) -> Path:
    (folder / CLIP).parent.mkdir(parents=True)
    (folder / CLIP).touch()
    return folder


@pytest.mark.parametrize("below", ["ravdess/speech", "ravdess", "."])
def test_the_folder_of_corpora_or_the_corpus_itself_may_be_named(places: Path, below: str) -> None:
    folder = put_clip(places / "data" / below)
    assert find_ravdess(places / "data") == folder


def test_an_actor_folder_alone_is_enough(places: Path) -> None:
    put_clip(places)
    assert find_ravdess(places / "Actor_03") == places / "Actor_03"


def test_data_wins_over_the_environment_and_that_over_the_cache(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = put_clip(places / "cache" / "ravdess")
    assert find_ravdess() == cache
    named = put_clip(places / "named")
    monkeypatch.setenv("EMOVOX_DATA", str(named))
    assert find_ravdess() == named
    assert find_ravdess(put_clip(places / "data")) == places / "data"


def test_a_data_folder_of_other_corpora_leaves_the_cache(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (places / "named" / "nemo").mkdir(parents=True)
    monkeypatch.setenv("EMOVOX_DATA", str(places / "named"))
    with pytest.raises(CorpusError, match="no RAVDESS speech clip found.*data fetch") as caught:
        find_ravdess()
    assert "named (EMOVOX_DATA)" in str(caught.value)
    assert "(the cache)" in str(caught.value)
    cache = put_clip(places / "cache" / "ravdess")
    assert find_ravdess() == cache


def test_a_named_folder_without_clips_is_not_replaced_by_the_cache(places: Path) -> None:
    put_clip(places / "cache" / "ravdess")
    (places / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"found in .*empty \(--data\)"):
        find_ravdess(places / "empty")


def test_a_misspelt_folder_is_reported_by_its_source(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOVOX_DATA", str(places / "dta"))
    with pytest.raises(CorpusError, match=r"dta \(EMOVOX_DATA\) is not a folder"):
        find_ravdess()


def test_a_zip_is_sent_to_fetch(places: Path) -> None:
    (places / "a.zip").touch()
    with pytest.raises(CorpusError, match=r"is a zip file.*fetch ravdess --from .*a\.zip"):
        find_ravdess(places / "a.zip")


def test_the_cache_is_the_users_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOVOX_CACHE", "~/corpora")
    assert find_cache() == Path.home() / "corpora"
    monkeypatch.delenv("EMOVOX_CACHE")
    assert find_cache().name == "emovox"
