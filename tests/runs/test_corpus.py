"""Where a run's corpora are, from wherever a command is run."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from emovox.errors import CorpusError, RunError
from emovox.runs.corpus import CORPUS_NAME, load_run_clips, read_run_corpus, write_places


def make_list(folder: Path) -> Path:
    folder.mkdir(parents=True)
    sf.write(folder / "a.wav", np.full(800, 0.1), 8_000)
    (folder / "l.csv").write_text("file,emotion\na.wav,sad\n")
    return folder / "l.csv"


def load(run: Path, *, data: Path | None = None, name: str = "lists/l.csv") -> list[Path]:
    return [clip.path for clip in load_run_clips(run, [name], data)]


def test_a_corpus_is_found_where_it_was_with_its_run_or_where_data_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, manifest = tmp_path / "here" / "run", make_list(tmp_path / "here" / "lists")
    run.mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_places(run, [("lists/l.csv", Path("lists/l.csv"))])
    (place,) = read_run_corpus(run).corpora
    assert (place.absolute, place.relative) == (str(manifest), "../lists/l.csv")
    monkeypatch.chdir("/")
    assert load(run) == [manifest.parent / "a.wav"]
    (tmp_path / "here").rename(tmp_path / "there")
    run = tmp_path / "there" / "run"
    assert [path.resolve() for path in load(run)] == [tmp_path / "there" / "lists" / "a.wav"]
    (tmp_path / "there" / "lists").rename(tmp_path / "moved")
    with pytest.raises(CorpusError, match="is not there; looked for .*with --data") as missing:
        load(run)
    assert missing.value.code == "corpus.missing"
    assert load(run, data=tmp_path / "moved") == [tmp_path / "moved" / "a.wav"]
    (tmp_path / "data").mkdir()
    (tmp_path / "moved").rename(tmp_path / "data" / "lists")
    assert load(run, data=tmp_path / "data") == [tmp_path / "data" / "lists" / "a.wav"]


def test_a_folder_of_classes_may_be_named_itself(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    sad = tmp_path / "new" / "mine" / "sad"
    sad.mkdir(parents=True)
    sf.write(sad / "a.wav", np.full(800, 0.1), 8_000)
    write_places(run, [("./mine", tmp_path / "old" / "mine")])
    for data in (tmp_path / "new", tmp_path / "new" / "mine"):
        assert load(run, data=data, name="./mine") == [sad / "a.wav"]


def test_known_corpora_are_found_where_they_were(tiny_corpus: Path, tmp_path: Path) -> None:
    write_places(tmp_path, [("ravdess", tiny_corpus / "ravdess" / "speech")])
    assert len(load(tmp_path, name="ravdess")) == 96
    assert len(load(tmp_path, name="ravdess", data=tiny_corpus)) == 96


def test_runs_of_earlier_versions_have_no_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_list(tmp_path / "lists")
    monkeypatch.chdir(tmp_path)
    assert read_run_corpus(tmp_path).findings == ()
    assert load(tmp_path) == [Path("lists/a.wav")]
    (tmp_path / CORPUS_NAME).write_text('{"corpora": 3}')
    with pytest.raises(RunError, match=r"corpus.json: corpora: .*; remove it, and name"):
        read_run_corpus(tmp_path)
