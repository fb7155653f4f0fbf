"""Embeddings of clips and their augmented copies, computed once and cached on disk."""

import hashlib
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emovox.audio.load import load_audio
from emovox.cores import count_cores
from emovox.corpora.clips import Clip
from emovox.corpora.locate import find_cache, write_cached
from emovox.errors import AudioError
from emovox.labels import EMOTIONS
from emovox.recipes.settings import AugmentationSettings
from emovox.training.fingerprint import fingerprint_embeddings
from emovox.training.speech_encoder import Encoder

Rows = npt.NDArray[np.float32]
"""Embeddings of a clip and its copies, ``(1 + copies, features)``."""

MAX_MAPPED = 30_000
"""Clips whose embeddings are left on disk; those of more are read into memory, as Linux allows a
process 65,530 mappings."""


@dataclass(frozen=True, slots=True)
class EmbeddingSet:
    """Embeddings and the class of each clip.

    Attributes:
        embeddings: float32 ``(clips, 1 + copies, features)``; the original clip first. With copies
            from a cache: one array ``(1 + copies, features)`` per clip, mapped from its file, of
            which the system keeps in memory what fits.
        classes: int64 ``(clips,)``, index into ``labels``.
        mean: Subtracted from each embedding of a batch.
        std: Divides each embedding after subtraction of ``mean``.
        labels: Names of the classes.
    """

    embeddings: Tensor | Sequence[Rows]
    classes: Tensor
    mean: Tensor | float = 0.0
    std: Tensor | float = 1.0
    labels: tuple[str, ...] = EMOTIONS

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def n_rows(self) -> int:
        """Number of embeddings of a clip: its own and those of its copies."""
        return len(self.embeddings[0])

    def copy_rows(self, clips: Tensor, copies: Tensor) -> Tensor:
        """Return one embedding of each clip, ``(batch, features)``; int64 ``(batch,)`` each."""
        if isinstance(self.embeddings, Tensor):
            return self.embeddings[clips, copies]
        pairs = zip(clips.tolist(), copies.tolist(), strict=True)
        return torch.from_numpy(np.stack([self.embeddings[clip][copy] for clip, copy in pairs]))

    def select_clips(self, clips: slice) -> Tensor:
        """Return the embeddings of clips without their copies, ``(clips, features)``."""
        if isinstance(self.embeddings, Tensor):
            return self.embeddings[clips, 0]
        return torch.from_numpy(np.stack([rows[0] for rows in self.embeddings[clips]]))

    def measure(self) -> tuple[Tensor, Tensor]:
        """Return each feature's mean and standard deviation over the clips without copies."""
        clips = self.select_clips(slice(None))
        # A constant feature carries no information and must not cause a division by zero.
        return clips.mean(0), clips.std(0, correction=0).clamp(min=1e-4)

    def standardize(self, mean: Tensor, std: Tensor) -> "EmbeddingSet":
        """Return a set whose batches are ``(embedding - mean) / std``.

        With copies, batches are standardised as they are drawn: a standardised copy of the whole
        array would double the memory and take longer to make.
        """
        if isinstance(self.embeddings, Tensor) and self.embeddings.shape[1] == 1:
            return replace(self, embeddings=(self.embeddings - mean) / std)
        return replace(self, mean=mean, std=std)

    def draw_batches(
        self, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every clip once in random order, each as the original or one of its copies."""
        order = torch.randperm(len(self), generator=generator)
        copies = torch.randint(self.n_rows, (len(self),), generator=generator)
        for batch in order.split(batch_size):
            rows = self.copy_rows(batch, copies[batch])  # (batch, features)
            yield rows.sub_(self.mean).div_(self.std), batch

    def split_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every original clip once, in order."""
        for start in range(0, len(self), batch_size):
            batch = slice(start, start + batch_size)
            yield (self.select_clips(batch) - self.mean) / self.std, self.classes[batch]

    def update_digest(self, digest: "hashlib._Hash") -> None:
        """Add embeddings and classes; mean and std follow from the training set's."""
        for rows in self.embeddings:
            digest.update(np.ascontiguousarray(rows).data)
        digest.update(self.classes.contiguous().numpy().data)


class EmbeddingCache:
    """Cache of embeddings on disk, shared by all folds, recipes and runs.

    Args:
        folder: Cache folder; ``None``: ``embeddings`` in ``EMOVOX_CACHE`` or the user's cache
            folder.
        jobs: Number of clips computed in parallel; ``None``: one per core.
    """

    def __init__(self, folder: Path | None = None, jobs: int | None = None) -> None:
        self.folder = folder or find_cache() / "embeddings"
        self.jobs = jobs or count_cores()
        self.known: dict[tuple[str, str, AugmentationSettings], Rows] = {}
        self.fingerprints: dict[tuple[str, bool], str] = {}

    def load(
        self,
        clips: Sequence[Clip],
        encoder: Encoder,
        augmentation: AugmentationSettings,
        on_clip: Callable[[], None] = lambda: None,
        *,
        labels: tuple[str, ...] = EMOTIONS,
    ) -> EmbeddingSet:
        """Return the embeddings of ``clips`` in order, computing those that are not cached.

        Those with copies stay on disk and are read as they are drawn.

        Args:
            clips: The recordings.
            encoder: The encoder to use.
            augmentation: Augmented copies to make of each clip.
            on_clip: Called after each clip that was not in memory, for a progress bar.
            labels: Names of the classes, including those of all clips.

        Returns:
            The embeddings, not standardised.

        Raises:
            AudioError: A recording cannot be used.
        """
        missing = [c for c in clips if (encoder.name, c.name, augmentation) not in self.known]
        for clip, rows in zip(missing, self.fetch(missing, encoder, augmentation), strict=True):
            kept = rows if len(self.known) < MAX_MAPPED else rows.copy()
            self.known[encoder.name, clip.name, augmentation] = kept
            on_clip()
        known = [self.known[encoder.name, c.name, augmentation] for c in clips]
        classes = number_classes(clips, labels)
        if known and augmentation.copies:
            return EmbeddingSet(known, classes, labels=labels)
        empty = np.zeros((0, 1, encoder.n_features), np.float32)
        embeddings = torch.from_numpy(np.stack(known) if known else empty)
        return EmbeddingSet(embeddings, classes, labels=labels)

    def count_unknown(
        self, clips: Sequence[Clip], encoder: Encoder, augmentation: AugmentationSettings
    ) -> int:
        """Return the number of clips that are not in memory."""
        return sum((encoder.name, c.name, augmentation) not in self.known for c in clips)

    def fetch(
        self, clips: Sequence[Clip], encoder: Encoder, augmentation: AugmentationSettings
    ) -> Iterable[Rows]:
        """Map stored rows ``(1 + copies, features)``, computing and storing those missing."""

        def fetch_clip(clip: Clip) -> Rows:
            path = self.find_file(clip, encoder, augmentation)
            shape = (1 + augmentation.copies, encoder.n_features)
            rows = map_rows(path, shape)
            if rows is None:
                computed = compute_rows(clip, encoder, augmentation)
                write_cached(path, partial(write_rows, rows=computed))
                rows = map_rows(path, shape)
            return computed if rows is None else rows

        if clips:
            # Before the threads, which would otherwise all compute it.
            self.fingerprint(encoder, augmentation)
        with ThreadPoolExecutor(self.jobs) as pool:
            yield from pool.map(fetch_clip, clips)

    def find_file(self, clip: Clip, encoder: Encoder, augmentation: AugmentationSettings) -> Path:
        """Return a clip's cache file, named by all that its embeddings depend on."""
        settings = f"{self.fingerprint(encoder, augmentation)} {augmentation.model_dump_json()}"
        try:
            content = hashlib.sha256(clip.path.read_bytes())
        except OSError as error:
            raise AudioError(
                f"cannot be read ({error.strerror}), expected a recording; check the path",
                code="audio.unreadable",
                source=str(clip.path),
            ) from None
        content.update(hashlib.sha256(settings.encode()).digest())
        return self.folder / encoder.name / f"{content.hexdigest()}.npy"

    def fingerprint(self, encoder: Encoder, augmentation: AugmentationSettings) -> str:
        """Return what this process's decoding, copies and arithmetic are identified by."""
        key = (encoder.name, augmentation.copies > 0)
        if key not in self.fingerprints:
            self.fingerprints[key] = fingerprint_embeddings(encoder, copies=key[1])
        return self.fingerprints[key]


def number_classes(clips: Sequence[Clip], labels: Sequence[str]) -> Tensor:
    """Return the class of each clip, int64 ``(clips,)``: its label's index in ``labels``."""
    return torch.tensor([labels.index(clip.emotion) for clip in clips], dtype=torch.int64)


def map_rows(path: Path, shape: tuple[int, int]) -> Rows | None:
    """Map stored rows; ``None`` if the file is missing or not as expected."""
    # Not np.load: it also accepts archives, and a damaged header could claim any size. The header
    # must be byte for byte the one that np.save writes for these rows. Nor np.memmap, which keeps
    # every file open: the system allows 1,024.
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    header, n_values = buffer.getvalue(), math.prod(shape)
    n_before = len(header) // 4  # np.save makes the header a multiple of 64 bytes long
    try:
        with path.open("rb") as file:
            found = file.read(len(header))
            n_bytes = file.seek(0, io.SEEK_END)
    except OSError:
        return None
    if found != header or n_bytes != len(header) + 4 * n_values:
        return None
    # Private: what is written to the array, which nobody does, never reaches the file.
    mapped = torch.from_file(str(path), shared=False, size=n_before + n_values, dtype=torch.float32)
    rows: Rows = mapped.numpy()[n_before:].reshape(shape)  # (1 + copies, features)
    return rows


def write_rows(path: Path, rows: Rows) -> None:
    """Store rows for ``map_rows``."""
    with path.open("wb") as file:
        np.save(file, rows, allow_pickle=False)


def compute_rows(clip: Clip, encoder: Encoder, augmentation: AugmentationSettings) -> Rows:
    """Embed a clip and its augmented copies, ``(1 + copies, features)``.

    A copy depends only on its number and the clip's content, so every fold, seed and run uses
    the same copies.
    """
    samples = load_audio(clip.path, encoder.sample_rate_hz).samples
    rows = [encoder.embed(samples)]
    if augmentation.copies:
        # Importing scipy's filters takes half a second, so it is imported only for copies.
        from emovox.training.augment import perturb

        digest = hashlib.sha256(samples.tobytes()).digest()
        content = int.from_bytes(digest[:8], "little")
        for copy in range(augmentation.copies):
            generator = np.random.default_rng([copy, content])
            perturbed = perturb(samples, encoder.sample_rate_hz, augmentation, generator)
            rows.append(encoder.embed(perturbed))
    return np.stack(rows)
