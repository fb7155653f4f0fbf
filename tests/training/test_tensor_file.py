"""Tensors come back as they were written, or not at all."""

import math
import random
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from emovox.errors import RunError
from emovox.training.tensor_file import load_tensors, save_tensors

ABOUT = {"name": "a", "loss": math.inf, "epochs": [1, 2]}


def make_tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "kernel": torch.randn(3, 4, generator=generator).T,
        "steps": torch.arange(5, dtype=torch.int8),
        "state": generator.get_state()[:16],
    }


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "new" / "tensors.safetensors"
    save_tensors(path, make_tensors(), ABOUT)
    return path


def test_all_comes_back(saved: Path) -> None:
    tensors, about = load_tensors(saved)
    assert about == ABOUT
    assert tensors.keys() == make_tensors().keys()
    for name, value in make_tensors().items():
        assert torch.equal(tensors[name], value)
        assert tensors[name].dtype == value.dtype


def test_the_same_content_is_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    save_tensors(tmp_path / "again.safetensors", make_tensors(), ABOUT)
    assert saved.read_bytes() == (tmp_path / "again.safetensors").read_bytes()


def test_other_programs_read_it(saved: Path) -> None:
    with safe_open(saved, framework="pt") as file:
        assert torch.equal(file.get_tensor("kernel"), make_tensors()["kernel"])


def test_any_flipped_bit_is_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    for place in range(0, 8 * len(whole), 3):
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        saved.write_bytes(content)
        with pytest.raises(RunError, match=r"tensors\.safetensors: damaged: "):
            load_tensors(saved)


def test_any_length_but_its_own_is_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    cuts = random.Random(0).sample(range(len(whole)), 50)  # noqa: S311
    for content in (*(whole[:cut] for cut in cuts), whole + b"\0", b"", b"no tensors", b"PK" * 99):
        saved.write_bytes(content)
        with pytest.raises(RunError, match="damaged: "):
            load_tensors(saved)


def test_tensors_of_another_program_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weights": torch.zeros(3)}, path, metadata={"format": "pt"})
    with pytest.raises(RunError, match="damaged: not a safetensors file with an emovox digest"):
        load_tensors(path)


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"none: cannot be read \(No such file or directory\)"):
        load_tensors(tmp_path / "none")
    with pytest.raises(RunError, match="cannot be read"):
        load_tensors(tmp_path)
