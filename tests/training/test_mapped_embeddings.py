"""Embeddings with copies stay on disk: the same training, in little memory, with no file open."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.training.made_rows import COPIES, MadeEncoder, make_clips, make_rows
from tests.training.tiny_trainings import (
    HEAD,
    OTHERS,
    SOME,
    KilledError,
    forget_seconds,
    stop_at,
    to_bytes,
)

from emovox.recipes.recipe import load_recipe
from emovox.recipes.settings import AugmentationSettings
from emovox.training import embeddings
from emovox.training.embeddings import EmbeddingCache, EmbeddingSet, Rows, map_rows
from emovox.training.trainer import train_network

RECIPE = load_recipe("encoder", [*HEAD, "network.members=2"])


def map_set(data: EmbeddingSet, folder: Path) -> EmbeddingSet:
    """Write a set's rows to files, and map these."""
    mapped: list[Rows] = []
    for number, rows in enumerate(data.embeddings):
        path = folder / f"{number}.npy"
        np.save(path, np.asarray(rows))
        found = map_rows(path, (4, 24))
        assert found is not None
        mapped.append(found)
    return replace(data, embeddings=mapped)


@pytest.fixture
def mapped(tmp_path: Path) -> EmbeddingSet:
    folder = tmp_path / "rows"
    folder.mkdir()
    return map_set(SOME, folder)


def test_training_gives_the_same_bytes(tmp_path: Path, mapped: EmbeddingSet) -> None:
    expected = train_network(RECIPE, SOME, OTHERS, tmp_path / "memory")
    found = train_network(RECIPE, mapped, OTHERS, tmp_path / "disk")
    assert to_bytes(found) == to_bytes(expected)
    assert forget_seconds(found.history) == forget_seconds(expected.history)
    assert torch.equal(found.mean, expected.mean)
    assert torch.equal(found.std, expected.std)
    # The fingerprint of clips and recipe is part of the checkpoint.
    name = "checkpoint/last.safetensors"
    tensors, others = load_file(tmp_path / "memory" / name), load_file(tmp_path / "disk" / name)
    assert tensors.keys() == others.keys()
    assert all(torch.equal(tensors[key], others[key]) for key in tensors)


def test_a_training_from_memory_is_resumed_from_disk(
    tmp_path: Path, mapped: EmbeddingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emovox.training import trainer

    expected = train_network(RECIPE, SOME, OTHERS, None)
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(trainer, "train_epoch", stop_at(5, trainer.train_epoch))
        train_network(RECIPE, SOME, OTHERS, tmp_path)
    found = train_network(RECIPE, mapped, OTHERS, tmp_path, resume=True)
    assert to_bytes(found) == to_bytes(expected)


def test_sets_in_memory_and_on_disk_are_alike(mapped: EmbeddingSet) -> None:
    for ours, theirs in zip(mapped.split_batches(10), SOME.split_batches(10), strict=True):
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])
    digests = (hashlib.sha256(), hashlib.sha256())
    mapped.update_digest(digests[0])
    SOME.update_digest(digests[1])
    assert digests[0].digest() == digests[1].digest()
    assert mapped.n_rows == SOME.n_rows == 4


@pytest.mark.skipif(sys.platform != "linux", reason="Linux lists open files in /proc")
def test_no_file_stays_open(tmp_path: Path) -> None:
    cache, encoder = EmbeddingCache(tmp_path / "cache", jobs=1), MadeEncoder()
    opened = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embeddings, "compute_rows", make_rows)
        data = cache.load(make_clips(tmp_path, 30), encoder, COPIES)
    assert len(list(Path("/proc/self/fd").iterdir())) == opened
    assert len(data) == 30
    mappings = Path("/proc/self/maps").read_text()
    assert mappings.count(str(tmp_path / "cache")) == 30


def test_many_clips_are_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "compute_rows", make_rows)
    clips, encoder = make_clips(tmp_path, 4), MadeEncoder()
    monkeypatch.setattr(embeddings, "MAX_MAPPED", 3)
    data = EmbeddingCache(tmp_path / "cache").load(clips, encoder, COPIES)
    assert [np.asarray(rows).base is None for rows in data.embeddings] == [False] * 3 + [True]
    for clip, rows in zip(clips, data.embeddings, strict=True):
        assert np.array_equal(rows, make_rows(clip, encoder, COPIES))


def test_writing_to_a_mapped_array_does_not_reach_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.ones((2, 3), np.float32))
    rows = map_rows(path, (2, 3))
    assert rows is not None
    rows[:] = 7
    assert np.array_equal(np.load(path), np.ones((2, 3)))


def test_a_file_that_is_replaced_while_mapped_keeps_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.ones((2, 3), np.float32))
    rows = map_rows(path, (2, 3))
    path.unlink()
    path.write_bytes(b"")
    assert rows is not None
    assert rows.tolist() == [[1] * 3] * 2
    assert map_rows(path, (2, 3)) is None


MEASURE = """
import sys
from pathlib import Path
import torch
from emovox.recipes.recipe import load_recipe
from emovox.training import embeddings
from emovox.training.trainer import train_network
from tests.training.made_rows import COPIES, MadeEncoder, make_clips, make_rows

def read_anonymous_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = [line for line in lines if line.startswith("RssAnon:")]
    return int(found.split()[1]) / 1e3

def train(n_clips):
    peaks = []
    def watch(self, clips, copies):
        peaks.append(read_anonymous_mb())
        return copy_rows(self, clips, copies)
    embeddings.EmbeddingSet.copy_rows = watch
    clips = make_clips(folder, n_clips)
    cache = embeddings.EmbeddingCache(folder / "cache", jobs=1)
    data = cache.load(clips, MadeEncoder(), COPIES)
    recipe = load_recipe("encoder", ["network.members=1", "training.epochs=2"])
    train_network(recipe, data, cache.load([], MadeEncoder(), COPIES), None)
    return max(peaks)

torch.set_num_threads(1)
folder = Path(sys.argv[1])
copy_rows = embeddings.EmbeddingSet.copy_rows
embeddings.compute_rows = make_rows
train(40)
base = read_anonymous_mb()
print(train(int(sys.argv[2])) - base)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells anonymous memory apart")
def test_embeddings_stay_on_disk(tmp_path: Path) -> None:
    # Anonymous memory, which the process needs; not the mapped pages of files, which the system
    # takes back when it needs them.
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", MEASURE, str(tmp_path), "500"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=root)  # noqa: S603
    assert ran.returncode == 0, ran.stderr
    # 500 clips with 12 copies are 60 MB, twice in memory before; their means take 5 MB.
    assert float(ran.stdout) < 20


def test_what_stays_in_memory_has_no_copies(tmp_path: Path) -> None:
    clips, encoder, alone = make_clips(tmp_path, 3), MadeEncoder(), AugmentationSettings()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embeddings, "compute_rows", make_rows)
        data = EmbeddingCache(tmp_path / "cache").load(clips, encoder, alone)
    assert isinstance(data.embeddings, torch.Tensor)
    assert data.embeddings.shape == (3, 1, encoder.n_features)
