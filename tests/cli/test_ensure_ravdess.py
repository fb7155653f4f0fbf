from pathlib import Path

import pytest

from emovox.cli import data
from emovox.corpora.fetch import FetchedCorpus
from emovox.errors import CorpusError, DownloadError


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Record downloads instead of making them, beside an empty cache and no EMOVOX_DATA."""
    calls: list[Path] = []

    def fetch(folder: Path | None, archive: Path | None) -> FetchedCorpus:
        assert (folder, archive) == (None, None)
        calls.append(tmp_path / "fetched")
        return FetchedCorpus(folder=calls[-1], clips=1_440, installed=True)

    monkeypatch.setattr(data, "_fetch_ravdess", fetch)
    monkeypatch.delenv("EMOVOX_DATA", raising=False)
    monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path / "cache"))
    return calls


def test_it_is_fetched_where_none_is_named_and_none_is_here(
    fetched: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = data.ensure_ravdess(None)
    assert fetched == [folder]
    assert "name its folder with --data or EMOVOX_DATA" in capsys.readouterr().err


def test_a_named_place_has_to_be_right(
    fetched: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(CorpusError, match="no RAVDESS speech clip found"):
        data.ensure_ravdess(tmp_path)
    monkeypatch.setenv("EMOVOX_DATA", str(tmp_path))
    with pytest.raises(CorpusError, match="no RAVDESS speech clip found"):
        data.ensure_ravdess(None)
    assert fetched == []


def test_what_is_here_is_not_fetched(fetched: list[Path], tiny_corpus: Path) -> None:
    assert data.ensure_ravdess(tiny_corpus).is_dir()
    assert fetched == []


def test_without_a_network_it_names_the_demo_and_the_users_copy(
    fetched: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path | None, archive: Path | None) -> FetchedCorpus:  # noqa: ARG001
        raise DownloadError("no connection to zenodo.org (Name or service not known)")

    monkeypatch.setattr(data, "_fetch_ravdess", fail)
    with pytest.raises(DownloadError, match="no connection to .*'emovox demo'.* EMOVOX_DATA$"):
        data.ensure_ravdess(None)
    assert fetched == []
