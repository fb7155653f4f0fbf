"""Training inputs of networks: spectrograms or embeddings of clips, computed once and cached."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import torch
from torch import Tensor

from emovox.audio.load import load_audio
from emovox.corpora.clips import Clip
from emovox.labels import EMOTIONS
from emovox.recipes.recipe import Recipe
from emovox.recipes.settings import (
    AugmentationSettings,
    EncoderSettings,
    FrontendSettings,
    HuggingFaceSettings,
)
from emovox.training.embeddings import EmbeddingCache, number_classes
from emovox.training.frontend import SpectrogramFrontend
from emovox.training.hf_encoder import HuggingFaceEncoder
from emovox.training.speech_encoder import Encoder, SpeechEncoder


class ClipSet(Protocol):
    """Training data of a network: the inputs and class of each clip."""

    @property
    def classes(self) -> Tensor:
        """int64 ``(clips,)``, index into ``labels``."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        ...

    def __len__(self) -> int:
        """Return the number of clips."""
        ...

    def measure(self) -> tuple[Tensor, Tensor]:
        """Return the mean and standard deviation of the inputs."""
        ...

    def standardize(self, mean: Tensor, std: Tensor) -> Self:
        """Return a set with ``(input - mean) / std``."""
        ...

    def draw_batches(
        self, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every clip once in random order, as batches of inputs and classes."""
        ...

    def split_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every original clip once, in order."""
        ...

    def update_digest(self, digest: "hashlib._Hash") -> None:
        """Add everything that training depends on."""
        ...


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Spectrograms and the class of each.

    Attributes:
        images: float32 ``(clips, 1, height, width)``, in dB or standardised.
        classes: int64 ``(clips,)``, index into ``labels``.
        labels: Names of the classes.
    """

    images: Tensor
    classes: Tensor
    labels: tuple[str, ...] = EMOTIONS

    def __len__(self) -> int:
        return len(self.classes)

    def measure(self) -> tuple[Tensor, Tensor]:
        """Return the mean and standard deviation over all pixels."""
        return self.images.mean(), self.images.std(correction=0)

    def standardize(self, mean: Tensor, std: Tensor) -> "ImageSet":
        """Return a set with ``(image - mean) / std``."""
        return replace(self, images=(self.images - mean) / std)

    def draw_batches(
        self, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every clip once in random order."""
        for batch in torch.randperm(len(self), generator=generator).split(batch_size):
            yield self.images[batch], self.classes[batch]

    def split_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every clip once, in order."""
        return zip(self.images.split(batch_size), self.classes.split(batch_size), strict=True)

    def update_digest(self, digest: "hashlib._Hash") -> None:
        """Add spectrograms and classes."""
        digest.update(self.images.numpy().tobytes())
        digest.update(self.classes.numpy().tobytes())


class ImageCache:
    """In-memory cache of spectrograms, shared by all folds, recipes and runs.

    Args:
        jobs: Number of clips computed in parallel; ``None``: one per core.
    """

    def __init__(self, jobs: int | None = None) -> None:
        self.jobs = jobs or os.cpu_count() or 1
        self.images: dict[tuple[FrontendSettings, str], Tensor] = {}

    def load(
        self,
        clips: Sequence[Clip],
        settings: FrontendSettings,
        on_clip: Callable[[], None] = lambda: None,
        *,
        labels: tuple[str, ...] = EMOTIONS,
    ) -> ImageSet:
        """Return the spectrograms of ``clips`` in order, computing those that are not cached.

        Args:
            clips: The recordings.
            settings: The front-end settings.
            on_clip: Called after each newly computed clip, for a progress bar.
            labels: Names of the classes, including those of all clips.

        Returns:
            Spectrograms in dB, not standardised.

        Raises:
            AudioError: A recording cannot be used.
        """
        missing = [c for c in clips if (settings, c.name) not in self.images]
        for clip, image in zip(missing, self.compute(missing, settings), strict=True):
            self.images[settings, clip.name] = image
            on_clip()
        side = (settings.image_height, settings.image_width)
        images = [self.images[settings, c.name] for c in clips]
        return ImageSet(
            torch.cat(images) if images else torch.zeros(0, 1, *side),
            number_classes(clips, labels),
            labels,
        )

    def count_unknown(self, clips: Sequence[Clip], settings: FrontendSettings) -> int:
        """Return the number of clips that have yet to be computed."""
        return sum((settings, c.name) not in self.images for c in clips)

    def compute(self, clips: Sequence[Clip], settings: FrontendSettings) -> Iterable[Tensor]:
        """Compute spectrograms ``(1, 1, height, width)``, one clip per core at a time."""
        frontend = SpectrogramFrontend(settings)

        def compute_image(clip: Clip) -> Tensor:
            waveform = load_audio(clip.path, settings.sample_rate_hz)
            with torch.inference_mode():
                image: Tensor = frontend(torch.from_numpy(waveform.samples)[None])
            return image.clone()

        threads = torch.get_num_threads()
        # One clip per core is faster than all cores on one clip, as its matrices are small.
        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(self.jobs) as pool:
                yield from pool.map(compute_image, clips)
        finally:
            torch.set_num_threads(threads)


class FeatureCache:
    """Cache of the training inputs of every kind of recipe.

    Args:
        jobs: Number of clips computed in parallel; ``None``: one per core.
        folder: Folder of cached embeddings; ``None``: in the user's cache.
    """

    def __init__(self, jobs: int | None = None, folder: Path | None = None) -> None:
        self.images = ImageCache(jobs)
        self.embeddings = EmbeddingCache(folder, jobs)

    def load(
        self,
        clips: Sequence[Clip],
        recipe: Recipe,
        *,
        labels: tuple[str, ...] = EMOTIONS,
        augment: bool = False,
        on_clip: Callable[[], None] = lambda: None,
    ) -> ClipSet:
        """Return the inputs of a recipe's network for ``clips``, in order.

        Args:
            clips: The recordings.
            recipe: The recipe, whose front end and augmentation are used.
            augment: Whether to add the recipe's augmented copies.
            labels: Names of the classes, including those of all clips.
            on_clip: Called after each newly computed clip, for a progress bar.

        Returns:
            Spectrograms in dB or embeddings, not standardised.

        Raises:
            AudioError: A recording cannot be used.
        """
        if isinstance(recipe.frontend, FrontendSettings):
            return self.images.load(clips, recipe.frontend, on_clip, labels=labels)
        copies = choose_augmentation(recipe, augment=augment)
        encoder = make_encoder(recipe.frontend)
        return self.embeddings.load(clips, encoder, copies, on_clip, labels=labels)

    def count_unknown(self, clips: Sequence[Clip], recipe: Recipe, *, augment: bool = False) -> int:
        """Return the number of clips that have yet to be computed or read."""
        if isinstance(recipe.frontend, FrontendSettings):
            return self.images.count_unknown(clips, recipe.frontend)
        copies = choose_augmentation(recipe, augment=augment)
        return self.embeddings.count_unknown(clips, make_encoder(recipe.frontend), copies)


def name_features(recipe: Recipe) -> str:
    """Return the name of a recipe's features, for a progress bar."""
    return "spectrograms" if isinstance(recipe.frontend, FrontendSettings) else "embeddings"


def choose_augmentation(recipe: Recipe, *, augment: bool) -> AugmentationSettings:
    """Return the recipe's augmentation, or one without copies."""
    return recipe.augmentation if augment else AugmentationSettings()


def name_encoder(recipe: Recipe) -> str:
    """Return the name of a recipe's encoder, unique per weights; empty for spectrograms."""
    if isinstance(recipe.frontend, FrontendSettings):
        return ""
    return make_encoder(recipe.frontend).name


def make_encoder(settings: EncoderSettings | HuggingFaceSettings) -> Encoder:
    """Make the encoder that a recipe names.

    Raises:
        EncoderError: The encoder cannot be obtained or used.
    """
    if isinstance(settings, HuggingFaceSettings):
        return HuggingFaceEncoder(settings)
    return SpeechEncoder()
