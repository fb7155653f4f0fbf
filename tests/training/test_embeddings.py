"""Embeddings: computed once, kept, and never trusted blindly."""

import hashlib
import io
import os
import pickle
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch
from numpy.typing import NDArray
from torch import Tensor

from emovox.audio.load import load_audio
from emovox.corpora.clips import Clip
from emovox.errors import AudioError
from emovox.labels import EMOTIONS
from emovox.recipes.settings import AugmentationSettings
from emovox.training import fingerprint
from emovox.training.augment import perturb
from emovox.training.embeddings import EmbeddingCache, EmbeddingSet
from emovox.training.fingerprint import PROBE_S

ALONE = AugmentationSettings()
TWO_COPIES = AugmentationSettings(copies=2, reverberation=0, noise=1, codec=0)
N_PROBE = round(16_000 * PROBE_S)
Samples = NDArray[np.float32]


@dataclass
class PlainEncoder:
    """Mean, level and length of a recording; notes the clips and copies that it embedded."""

    name: str = "plain"
    sample_rate_hz: int = 16_000
    n_features: int = 3
    heard: list[Samples] = field(default_factory=list)
    pause_s: Callable[[Samples], float] = lambda _: 0.0

    def embed(self, samples: Samples) -> Samples:
        time.sleep(self.pause_s(samples))
        if len(samples) != N_PROBE:
            self.heard.append(samples)
        return np.array([samples.mean(), np.abs(samples).max(), len(samples)], np.float32)

    def read_graph(self) -> bytes:
        raise NotImplementedError


def make_clip(folder: Path, number: int) -> Clip:
    """Make 0.1 s of a tone whose level is a tenth of the number, of at most 9."""
    path = folder / f"{number}.wav"
    tone = 0.1 * number * np.sin(np.arange(1_600) * 0.3)
    sf.write(path, tone, 16_000, subtype="FLOAT")
    return Clip(f"clip-{number}", path, "made", EMOTIONS[number % 8], f"speaker-{number}")


def stack(data: EmbeddingSet) -> Tensor:
    """Read a set into memory."""
    rows = [torch.as_tensor(rows) for rows in data.embeddings]
    return torch.stack(rows) if rows else torch.as_tensor(data.embeddings)


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    folder = tmp_path / "clips"
    folder.mkdir()
    return [make_clip(folder, number) for number in (3, 1, 8, 5)]


def test_embeddings_are_computed_without_a_cache(clips: list[Clip], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    encoder = PlainEncoder()
    rows = EmbeddingCache(tmp_path / "file" / "below").load(clips, encoder, ALONE)
    assert (len(rows), rows.n_rows) == (4, 1)
    assert len(encoder.heard) == 4
    assert (tmp_path / "file").read_bytes() == b""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "embeddings"


def list_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_clips_come_in_their_order_whichever_is_done_first(clips: list[Clip], folder: Path) -> None:
    encoder = PlainEncoder(pause_s=lambda samples: 0.05 * float(samples.max() < 0.4))
    data = EmbeddingCache(folder, jobs=4).load(clips, encoder, ALONE)
    assert [samples.max() > 0.4 for samples in encoder.heard] == [True, True, False, False]
    assert stack(data).shape == (4, 1, 3)
    assert stack(data).dtype == torch.float32
    levels = [0.3, 0.1, 0.8, 0.5]
    assert stack(data)[:, 0, 1].tolist() == pytest.approx(levels, rel=1e-3)
    assert stack(data)[:, 0, 2].tolist() == [1_600] * 4
    assert data.classes.tolist() == [3, 1, 0, 5]
    turned = EmbeddingCache(folder).load(clips[::-1], PlainEncoder(), ALONE)
    assert torch.equal(stack(turned), stack(data).flip(0))


def test_the_clip_itself_comes_first_then_its_copies(clips: list[Clip], folder: Path) -> None:
    encoder = PlainEncoder()
    data = EmbeddingCache(folder, jobs=1).load(clips[:1], encoder, TWO_COPIES)
    samples = load_audio(clips[0].path, 16_000).samples
    assert np.array_equal(encoder.heard[0], samples)
    seed = int.from_bytes(hashlib.sha256(samples.tobytes()).digest()[:8], "little")
    for copy in (0, 1):
        generator = np.random.default_rng([copy, seed])
        expected = perturb(samples, 16_000, TWO_COPIES, generator)
        assert np.array_equal(encoder.heard[1 + copy], expected)
        row = PlainEncoder().embed(expected)
        assert np.array_equal(stack(data)[0, 1 + copy].numpy(), row)
    assert len({heard.tobytes() for heard in encoder.heard}) == 3


def test_no_clips_give_an_empty_set(folder: Path) -> None:
    data = EmbeddingCache(folder).load([], PlainEncoder(), TWO_COPIES)
    assert (tuple(stack(data).shape), len(data)) == ((0, 1, 3), 0)
    assert not folder.exists()


def test_everything_is_computed_once(clips: list[Clip], folder: Path) -> None:
    cache, encoder, heard = EmbeddingCache(folder), PlainEncoder(), []
    assert cache.count_unknown(clips, encoder, TWO_COPIES) == 4
    first = cache.load(clips, encoder, TWO_COPIES, lambda: heard.append(1))
    assert (len(encoder.heard), len(heard)) == (4 * 3, 4)
    assert cache.count_unknown(clips, encoder, TWO_COPIES) == 0
    again = cache.load(clips[:2], encoder, TWO_COPIES, lambda: heard.append(1))
    assert (len(encoder.heard), len(heard)) == (4 * 3, 4)
    assert torch.equal(stack(again), stack(first)[:2])
    # Another day.
    cache, encoder = EmbeddingCache(folder), PlainEncoder()
    assert cache.count_unknown(clips, encoder, TWO_COPIES) == 4
    later = cache.load(clips, encoder, TWO_COPIES, lambda: heard.append(1))
    assert (len(encoder.heard), len(heard)) == (0, 8)
    assert torch.equal(stack(later), stack(first))
    assert torch.equal(later.classes, first.classes)
    assert len(list_files(folder)) == 4


def test_name_place_and_label_of_a_clip_do_not_matter(clips: list[Clip], folder: Path) -> None:
    first = EmbeddingCache(folder).load(clips[:1], PlainEncoder(), TWO_COPIES)
    moved = clips[0].path.with_name("moved.wav")
    clips[0].path.rename(moved)
    clip = replace(clips[0], name="another", path=moved, emotion="angry", speaker="x")
    encoder = PlainEncoder()
    again = EmbeddingCache(folder).load([clip], encoder, TWO_COPIES)
    assert encoder.heard == []
    assert torch.equal(stack(again), stack(first))
    assert again.classes.tolist() == [EMOTIONS.index("angry")]


@pytest.mark.parametrize(
    "change",
    [
        {"copies": 3},
        {"crop": False},
        {"speed": 0.1},
        {"reverberation": 0.1},
        {"equalizer": 0.1},
        {"noise": 0.5},
        {"codec": 0.1},
    ],
    ids=str,
)
def test_other_settings_are_other_copies(
    clips: list[Clip], folder: Path, change: dict[str, Any]
) -> None:
    cache = EmbeddingCache(folder)
    path = cache.find_file(clips[0], PlainEncoder(), TWO_COPIES)
    changed = TWO_COPIES.model_copy(update=change)
    assert cache.find_file(clips[0], PlainEncoder(), changed) != path
    cache.load(clips[:1], PlainEncoder(), TWO_COPIES)
    encoder = PlainEncoder()
    cache.load(clips[:1], encoder, changed)
    assert len(encoder.heard) == 1 + changed.copies


def test_another_encoder_arithmetic_or_content_is_another_file(
    clips: list[Clip], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = EmbeddingCache(folder)
    path = cache.find_file(clips[0], PlainEncoder(), ALONE)
    assert path.parent == folder / "plain"
    other = cache.find_file(clips[0], PlainEncoder(name="other"), ALONE)
    assert other.parent == folder / "other"
    for name in ("fingerprint_copies", "fingerprint_decoding"):
        with monkeypatch.context() as patch:
            patch.setattr(fingerprint, name, lambda *_: "another")
            found = EmbeddingCache(folder).find_file(clips[0], PlainEncoder(), ALONE)
            # Without copies, it does not matter how copies are made.
            assert (found == path) == (name == "fingerprint_copies")
    with monkeypatch.context() as patch:
        patch.setattr(PlainEncoder, "embed", lambda *_: np.zeros(3, np.float32))
        assert EmbeddingCache(folder).find_file(clips[0], PlainEncoder(), ALONE) != path
    with clips[0].path.open("ab") as file:
        file.write(b"\0")
    assert cache.find_file(clips[0], PlainEncoder(), ALONE) != path


def test_the_folder_is_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path / "elsewhere"))
    assert EmbeddingCache().folder == tmp_path / "elsewhere" / "embeddings"


class Bomb:
    """Makes a folder as soon as somebody unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def save_array(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def save_archive(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, array)
    return buffer.getvalue()


ROWS = np.arange(9, dtype=np.float32).reshape(3, 3)
GOOD = save_array(ROWS)
DAMAGED = {
    "empty": b"",
    "cut header": GOOD[:40],
    "cut": GOOD[:-1],
    "too long": GOOD + b"\0",
    "text": b"not an array",
    "broken header": GOOD.replace(b"'shape'", b"'shap((", 1),
    "endless header": GOOD.replace(b"(3, 3), }", b"(3, 3, ( ", 1),
    "huge": GOOD.replace(b"(3, 3), }" + b" " * 12, b"(3000000000000, 3), }", 1),
    "other shape": save_array(ROWS[:2]),
    "flat": save_array(ROWS.ravel()),
    "by columns": save_array(np.asfortranarray(ROWS)),
    "double": save_array(ROWS.astype(np.float64)),
    "archive": save_archive(ROWS),
    "half an archive": save_archive(ROWS)[:60],
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_is_computed_again(clips: list[Clip], folder: Path, content: bytes) -> None:
    first = stack(EmbeddingCache(folder).load(clips, PlainEncoder(), TWO_COPIES))
    path = EmbeddingCache(folder).find_file(clips[2], PlainEncoder(), TWO_COPIES)
    good = path.read_bytes()
    assert len(good) == len(GOOD)
    path.write_bytes(content)
    encoder = PlainEncoder()
    again = EmbeddingCache(folder).load(clips, encoder, TWO_COPIES)
    assert len(encoder.heard) == 3
    assert torch.equal(stack(again), first)
    assert path.read_bytes() == good


@pytest.mark.parametrize("bare", [False, True])
def test_a_pickle_is_never_opened(
    clips: list[Clip], folder: Path, tmp_path: Path, bare: bool
) -> None:
    EmbeddingCache(folder).load(clips[:1], PlainEncoder(), TWO_COPIES)
    (path,), bomb = list_files(folder), Bomb(tmp_path / "exploded")
    objects = np.empty((3, 3), object)
    objects[:] = bomb
    path.write_bytes(pickle.dumps(bomb) if bare else save_array(objects))
    encoder = PlainEncoder()
    EmbeddingCache(folder).load(clips[:1], encoder, TWO_COPIES)
    assert len(encoder.heard) == 3
    assert not bomb.path.exists()


def test_two_that_compute_the_same_clips_at_once_do_not_mind(
    clips: list[Clip], folder: Path
) -> None:
    barrier = threading.Barrier(2, timeout=30)

    class SlowEncoder(PlainEncoder):
        def embed(self, samples: Samples) -> Samples:
            barrier.wait()
            return super().embed(samples)

    def load(_: int) -> EmbeddingSet:
        return EmbeddingCache(folder, jobs=1).load(clips, SlowEncoder(), TWO_COPIES)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(load, range(2))
    assert torch.equal(stack(first), stack(second))
    assert len(list_files(folder)) == 4
    encoder = PlainEncoder()
    third = EmbeddingCache(folder).load(clips, encoder, TWO_COPIES)
    assert encoder.heard == []
    assert torch.equal(stack(third), stack(first))


def test_a_full_disk_leaves_no_half_written_file_and_stops_nothing(
    clips: list[Clip], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save_half(file: Any, *_: object, **__: object) -> None:
        file.write(GOOD[:100])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", save_half)
        without = EmbeddingCache(folder, jobs=1).load(clips, PlainEncoder(), ALONE)
    assert list_files(folder) == []
    stored = EmbeddingCache(folder).load(clips, PlainEncoder(), ALONE)
    assert torch.equal(stack(without), stack(stored))
    assert len(list_files(folder)) == 4


def test_what_was_computed_before_an_error_is_kept(clips: list[Clip], folder: Path) -> None:
    class Failing(PlainEncoder):
        def embed(self, samples: Samples) -> Samples:
            if samples.max() > 0.7:
                raise RuntimeError("out of memory")
            return super().embed(samples)

    with pytest.raises(RuntimeError, match="out of memory"):
        EmbeddingCache(folder, jobs=1).load(clips, Failing(), ALONE)
    encoder = PlainEncoder()
    # Those before the third; the fourth may have been begun.
    kept = len(list_files(folder))
    assert kept >= 2
    EmbeddingCache(folder).load(clips, encoder, ALONE)
    assert len(encoder.heard) == 4 - kept


@pytest.mark.parametrize("content", [b"", b"RIFF, and then nothing", None])
def test_an_unusable_clip_is_named(clips: list[Clip], folder: Path, content: bytes | None) -> None:
    broken = clips[2].path
    if content is None:
        broken.unlink()
    else:
        broken.write_bytes(content)
    with pytest.raises(AudioError, match=r"8\.wav: ") as caught:
        EmbeddingCache(folder).load(clips, PlainEncoder(), ALONE)
    assert str(broken) in str(caught.value)
    assert [path.suffix for path in list_files(folder)] == [".npy"] * len(list_files(folder))


# Sets of embeddings.


def make_set(n_clips: int, n_copies: int) -> EmbeddingSet:
    """Make embeddings that say of which clip and copy they are."""
    index = torch.arange(n_clips * (1 + n_copies), dtype=torch.float32)
    rows = index.reshape(n_clips, 1 + n_copies, 1)
    return EmbeddingSet(torch.cat([rows, -rows], dim=2), torch.arange(n_clips) % 8)


def test_mean_and_deviation_are_those_of_the_clips_themselves() -> None:
    embeddings_ = torch.tensor([[[1.0, 5.0], [90, 9]], [[3.0, 5.0], [70, 9]]])
    data = EmbeddingSet(embeddings_, torch.tensor([0, 1]))
    mean, std = data.measure()
    assert mean.tolist() == [2, 5]
    # What never changes must not be divided by zero.
    assert std.tolist() == pytest.approx([1, 1e-4])
    found = data.standardize(mean, std)
    ((clips, classes),) = found.split_batches(2)
    assert clips.tolist() == [[-1, 0], [1, 0]]
    assert torch.equal(classes, data.classes)
    # Copies are measured by the clips; nothing is made of them before they are drawn.
    assert found.embeddings is data.embeddings
    generator = torch.Generator().manual_seed(0)
    drawn = [row for _ in range(20) for x, _ in found.draw_batches(1, generator) for row in x]
    rows = {tuple(round(value, 1) for value in row.tolist()) for row in drawn}
    assert rows == {(-1, 0), (1, 0), (88, 40_000), (68, 40_000)}


def test_clips_without_copies_are_standardised_once_and_for_all() -> None:
    data = make_set(5, 0)
    mean, std = data.measure()
    found = data.standardize(mean, std)
    torch.testing.assert_close(stack(found), (stack(data) - mean) / std)
    ((clips, _),) = found.split_batches(5)
    ((drawn, numbers),) = found.draw_batches(5, torch.Generator().manual_seed(0))
    assert torch.equal(clips, stack(found)[:, 0])
    assert torch.equal(drawn[numbers.argsort()], clips)
    # What was measured stays as it was.
    assert torch.equal(stack(data), stack(make_set(5, 0)))


def test_an_epoch_sees_each_clip_once_as_itself_or_a_copy() -> None:
    data, generator = make_set(50, 3), torch.Generator().manual_seed(0)
    orders, copies = [], []
    for _ in range(20):
        batches = list(data.draw_batches(8, generator))
        assert [len(numbers) for _, numbers in batches] == [8] * 6 + [2]
        index = torch.cat([inputs[:, 0] for inputs, _ in batches]).long()
        clips, drawn = index // 4, index % 4
        assert sorted(clips.tolist()) == list(range(50))
        assert torch.equal(torch.cat([numbers for _, numbers in batches]), clips)
        assert torch.equal(torch.cat([inputs[:, 1] for inputs, _ in batches]), -index.float())
        orders.append(tuple(clips.tolist()))
        copies += drawn.tolist()
    assert len(set(orders)) == 20
    # 1,000 draws of four: a standard deviation of 0.014.
    assert np.bincount(copies) / 1_000 == pytest.approx([0.25] * 4, abs=0.06)


def test_batches_follow_their_generator_alone() -> None:
    data = make_set(20, 2)

    def draw(seed: int) -> list[float]:
        batches = data.draw_batches(6, torch.Generator().manual_seed(seed))
        return [value for inputs, _ in batches for value in inputs[:, 0].tolist()]

    first = draw(1)
    torch.manual_seed(99)
    assert draw(1) == first
    assert draw(2) != first


def test_for_validation_each_clip_comes_as_itself_in_order() -> None:
    batches = list(make_set(5, 2).split_batches(2))
    assert [inputs[:, 0].tolist() for inputs, _ in batches] == [[0, 3], [6, 9], [12]]
    assert [classes.tolist() for _, classes in batches] == [[0, 1], [2, 3], [4]]


def test_the_digest_hears_of_every_number_and_class() -> None:
    def digest(data: EmbeddingSet) -> str:
        found = hashlib.sha256()
        data.update_digest(found)
        return found.hexdigest()

    data = make_set(4, 2)
    changed = stack(data)
    changed[3, 2, 1] += 1e-3
    found = {digest(data), digest(EmbeddingSet(changed, data.classes))}
    found.add(digest(EmbeddingSet(data.embeddings, data.classes.roll(1))))
    assert len(found) == 3
    assert digest(make_set(4, 2)) == digest(data)
