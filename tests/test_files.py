"""A file is written whole or not at all."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emovox.errors import EmovoxError
from emovox.files import name_folder, replace_file, write_text


def test_text_is_written_as_utf8_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "text.txt"
    write_text(path, "ü\n")
    assert path.read_bytes() == b"\xc3\xbc\n"
    assert os.listdir(path.parent) == ["text.txt"]


def test_a_block_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="halfway"), replace_file(path) as part:
        part.write_text("new")
        raise RuntimeError("halfway")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["text.txt"]


def test_the_old_file_is_there_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("old")
    with replace_file(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
        assert (part.parent, part.suffix) == (tmp_path, ".onnx")
        assert part.name.startswith(".")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_the_content_is_on_the_disk_before_the_file_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "text.txt"
    path.write_text("old")
    seen: list[str] = []

    def sync(descriptor: int) -> None:
        assert os.fstat(descriptor).st_size == 3
        seen.append(path.read_text())

    monkeypatch.setattr(os, "fsync", sync)
    write_text(path, "new")
    assert (seen, path.read_text()) == (["old"], "new")


def test_a_file_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "x.csv", tmp_path / f"{'x' * 300}.csv"):
        with pytest.raises(EmovoxError, match=r"x\.csv: cannot be written \(.*free some") as found:
            write_text(path, "")
        assert found.value.code == "file.unwritable"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes")
def test_a_disk_that_fills_up_is_a_typed_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    """A limit of the file size fails in the same system call as a full disk."""
    code = """
import resource, sys
from pathlib import Path
import numpy as np
import torch
from emovox.errors import EmovoxError
from emovox.files import replace_file, write_text
from emovox.training.tensor_file import save_tensors

folder = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
def save_array(path):
    with replace_file(path) as part:
        np.save(part, np.zeros(9_000))
for write in (
    lambda path: write_text(path, "x" * 20_000),
    lambda path: save_tensors(path, {"w": torch.zeros(9_000)}, {}),
    save_array,
):
    try:
        write(folder / "old.npy")
    except EmovoxError as error:
        print(error.code)
"""
    (tmp_path / "old.npy").write_text("old")
    command = [sys.executable, "-c", code, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.stderr, result.stdout.split()) == ("", ["file.unwritable"] * 3)
    assert os.listdir(tmp_path) == ["old.npy"]
    assert (tmp_path / "old.npy").read_text() == "old"


def test_a_block_that_fails_without_an_old_file_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), replace_file(tmp_path / "x.csv"):
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_a_result_is_as_readable_as_any_new_file(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        write_text(tmp_path / "x.csv", "")
        assert (tmp_path / "x.csv").stat().st_mode & 0o777 == 0o644
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(old)


def test_the_umask_which_all_threads_share_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = os.umask(0o027)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", lambda _: pytest.fail("changed the umask"))
            write_text(tmp_path / "x.csv", "")
        assert (tmp_path / "x.csv").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(old)


def test_threads_that_write_the_same_file_leave_one_of_theirs(tmp_path: Path) -> None:
    path, texts = tmp_path / "x.csv", [str(n % 10) * 50_000 for n in range(100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_text(path, text), texts))
    assert path.read_text() in texts
    assert os.listdir(tmp_path) == ["x.csv"]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("vanilla-emobox-6", "vanilla-emobox-6"),
        ("vanilla-cross:ravdess->nemo", "vanilla-cross-ravdess-nemo"),
        ("a-cross:./lists/my calls.csv->b+c", "a-cross-.-lists-my-calls.csv-b+c"),
    ],
)
def test_a_folder_is_named_for_every_system(name: str, folder: str) -> None:
    assert name_folder(name) == folder
