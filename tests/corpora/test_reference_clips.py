"""The compressed copies of RAVDESS in the checkout: whole, checked, the same splits as RAVDESS."""

import shutil
import tomllib
from pathlib import Path

import pytest

from emovox.corpora.protocols import make_protocol
from emovox.corpora.ravdess import (
    list_ravdess_names,
    make_ravdess_clip,
    parse_ravdess_name,
    read_ravdess,
)
from emovox.corpora.reference_clips import (
    FOLDER_NAME,
    are_reference_clips,
    check_reference_clips,
    find_reference_clips,
    list_reference_names,
)
from emovox.corpora.splits import format_split
from emovox.errors import CorpusError


@pytest.fixture
def copied(reference_clips: Path, tmp_path: Path) -> Path:
    """Return a copy of the clips that a test may damage."""
    return Path(shutil.copytree(reference_clips, tmp_path / FOLDER_NAME))


def test_they_are_the_240_clips_of_actors_1_to_4(reference_clips: Path) -> None:
    clips = read_ravdess(reference_clips)
    assert [clip.name for clip in clips] == list_reference_names()
    assert len(clips) == 240
    assert {(clip.corpus, clip.path.suffix) for clip in clips} == {("ravdess", ".opus")}
    assert [clip.speaker for clip in clips] == [actor for actor in "1234" for _ in range(60)]
    check_reference_clips(reference_clips)


def test_they_are_found_in_the_checkout_and_the_current_folder(
    reference_clips: Path, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_reference_clips() == reference_clips
    monkeypatch.setattr("emovox.corpora.reference_clips.__file__", str(copied / "a/b/c/d.py"))
    monkeypatch.chdir(copied.parent)
    assert find_reference_clips() == copied
    monkeypatch.chdir(copied)
    assert find_reference_clips() is None


def test_changed_and_missing_files_are_refused(copied: Path) -> None:
    clip = copied / "Actor_02" / "03-01-05-01-01-01-02.opus"
    content = clip.read_bytes()
    clip.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CorpusError, match=r"01-02\.opus: has the SHA-256 .*, expected .*restore"):
        check_reference_clips(copied)
    clip.unlink()
    with pytest.raises(CorpusError, match=r"01-02\.opus: cannot be read .*No such file"):
        check_reference_clips(copied)
    assert are_reference_clips(copied)


def test_other_folders_are_not_they(tmp_path: Path, tiny_corpus: Path) -> None:
    assert not are_reference_clips(tmp_path / "nowhere")
    assert not are_reference_clips(tiny_corpus / "ravdess")
    (tmp_path / "SHA256SUMS").write_bytes(b"\xff\n  03-01-05-01-01-01-02.opus\n")
    assert not are_reference_clips(tmp_path)


@pytest.mark.parametrize("name", ["reference", "reference-repeated"])
def test_splits_are_those_of_the_whole_corpus(reference_clips: Path, name: str) -> None:
    whole = [make_ravdess_clip(n, parse_ravdess_name(n), Path(n)) for n in list_ravdess_names()]
    copies = read_ravdess(reference_clips)
    assert format_split(make_protocol(name, copies)) == format_split(make_protocol(name, whole))


def test_neither_wheel_nor_sdist_is_told_to_pack_them(reference_clips: Path) -> None:
    project = tomllib.loads((reference_clips.parent / "pyproject.toml").read_text())
    targets = project["tool"]["hatch"]["build"]["targets"]
    assert targets["wheel"] == {"packages": ["src/emovox"]}
    assert set(targets["sdist"]) == {"include"}
    # Without a leading slash, a name such as README.md would match in every folder.
    assert all(name.startswith("/") for name in targets["sdist"]["include"])
    assert f"/{FOLDER_NAME}" not in targets["sdist"]["include"]
    assert not list((reference_clips.parent / "src").rglob(FOLDER_NAME))
    assert not list((reference_clips.parent / "tests").rglob(FOLDER_NAME))
