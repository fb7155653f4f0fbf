"""Which recordings `emovox reproduce` uses, and what it says where the other actors are missing."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emovox.cli import data
from emovox.cli.recordings import choose_recordings
from emovox.corpora.fetch import FetchedCorpus
from emovox.errors import CorpusError, DownloadError
from emovox.experiments.reproduce import N_SEEDS
from emovox.recipes.recipe import Recipe

NO_NETWORK = "no connection to zenodo.org (Name or service not known); check the network"


@pytest.fixture(autouse=True)
def downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Record downloads, which fail, beside an empty cache and no EMOVOX_DATA."""
    calls: list[Path] = []

    def fail(_folder: Path | None, _archive: Path | None) -> FetchedCorpus:
        calls.append(tmp_path)
        raise DownloadError(NO_NETWORK)

    monkeypatch.setattr(data, "_fetch_ravdess", fail)
    monkeypatch.delenv("EMOVOX_DATA", raising=False)
    monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path / "cache"))
    return calls


def test_without_ravdess_the_copies_are_used_and_nothing_is_downloaded(
    reference_clips: Path, downloads: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert choose_recordings(None, everything=False) == (reference_clips, "")
    (out, err) = capsys.readouterr()
    assert " ".join(out.split()) == (
        f"Recordings: 240 compressed copies (Opus) of RAVDESS actors 1 to 4 in {reference_clips}"
    )
    assert (err, downloads) == ("", [])


def test_ravdess_comes_before_the_copies(
    tiny_corpus: Path,
    tmp_path: Path,
    reference_clips: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for everything in (False, True):
        found, missing = choose_recordings(tiny_corpus, everything=everything)
        assert (found, missing) == (tiny_corpus / "ravdess" / "speech", "")
    assert "Recordings: RAVDESS in" in capsys.readouterr().out
    (tmp_path / "other").mkdir()
    # An EMOVOX_DATA that holds other corpora is no reason to stop.
    monkeypatch.setenv("EMOVOX_DATA", str(tmp_path / "other"))
    assert choose_recordings(None, everything=False)[0] == reference_clips
    shutil.copytree(tiny_corpus / "ravdess" / "speech", tmp_path / "cache" / "ravdess")
    assert choose_recordings(None, everything=False)[0] == tmp_path / "cache" / "ravdess"


def test_a_named_folder_has_to_be_right(
    tmp_path: Path, downloads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CorpusError, match="no RAVDESS speech clip found"):
        choose_recordings(tmp_path, everything=False)
    monkeypatch.setenv("EMOVOX_DATA", str(tmp_path / "dta"))
    with pytest.raises(CorpusError, match=r"dta \(EMOVOX_DATA\) is not a folder"):
        choose_recordings(None, everything=False)
    assert downloads == []


def test_without_a_checkout_ravdess_is_downloaded(
    downloads: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emovox.corpora.reference_clips.__file__", str(tmp_path / "a/b/c/d.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DownloadError, match="no connection"):
        choose_recordings(None, everything=False)
    assert downloads == [tmp_path]


def test_all_actors_are_downloaded_and_the_size_is_said_first(
    downloads: list[Path],
    tmp_path: Path,
    reference_clips: Path,
    tiny_corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found, missing = choose_recordings(None, everything=True)
    assert (found, downloads) == (reference_clips, [tmp_path])
    assert missing.startswith(NO_NETWORK)
    assert "208 MB (if interrupted, the same command resumes it)" in capsys.readouterr().err
    fetched = FetchedCorpus(tiny_corpus / "ravdess" / "speech", 1_440, installed=True)
    monkeypatch.setattr(data, "_fetch_ravdess", lambda _folder, _archive: fetched)
    assert choose_recordings(None, everything=True) == (fetched.folder, "")
    # The copies lack the other actors, wherever they are.
    found, missing = choose_recordings(reference_clips, everything=True)
    assert found == reference_clips
    assert "has 4 of its 24 actors; run 'emovox data fetch ravdess'" in missing


def test_what_is_possible_without_the_other_actors_is_done_and_the_rest_named(
    call: Callable[..., Any],
    tiny_recipe: Recipe,
    reference_clips: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(name: str, changes: list[str]) -> Recipe:
        protocol, seed = (change.partition("=")[2].strip("'") for change in changes)
        settings = tiny_recipe.data.model_copy(update={"protocol": protocol})
        training = tiny_recipe.training.model_copy(update={"epochs": 1})
        return tiny_recipe.model_copy(
            update={"name": name, "seed": int(seed), "data": settings, "training": training}
        )

    monkeypatch.setattr("emovox.experiments.reproduce.load_recipe", load)
    monkeypatch.setitem(N_SEEDS, "reference", 1)
    answer = call("reproduce", "--all", "--splits", "1")
    words = " ".join(answer.stdout.split())
    assert answer.status == 1
    assert f"240 compressed copies (Opus) of RAVDESS actors 1 to 4 in {reference_clips}" in words
    assert "reference v1" in words and "reference-repeated v1" in words
    report = Path("runs/encoder-reference-repeated-opus/report.html")
    assert f"Next: open {report}" in words
    assert "recordings: compressed copies (Opus, 32 kbit/s)" in report.read_text()
    assert words.partition("Not run: emobox-6, on unseen speakers")[2].startswith(
        f", which needs all of RAVDESS: {NO_NETWORK}"
    )
    assert words.endswith("Then run the same command again.")
    assert sorted(path.name for path in Path("runs").iterdir()) == [
        f"{name}-{protocol}-opus"
        for name in ("encoder", "optimized", "vanilla")
        for protocol in ("reference", "reference-repeated")
    ]
