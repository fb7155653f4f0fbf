"""Training inputs of networks: spectrograms or embeddings of clips, computed once and cached."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, Protocol, Self
from weakref import finalize

import numpy as np
import torch
from torch import Tensor

from emovox.audio.load import load_audio
from emovox.cores import count_cores
from emovox.corpora.clips import Clip
from emovox.files import replace_file
from emovox.labels import EMOTIONS
from emovox.progress import Watcher
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
from emovox.training.speech_encoder import ENCODER_TRAINING, Encoder, SpeechEncoder
from emovox.training.threads import one_thread

ImageKey = tuple[FrontendSettings, str]
"""Settings of a spectrogram, and the name of its clip."""


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
        """Yield every clip once in random order, as batches of inputs and clip numbers."""
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
            yield self.images[batch], batch

    def split_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every clip once, in order."""
        return zip(self.images.split(batch_size), self.classes.split(batch_size), strict=True)

    def update_digest(self, digest: "hashlib._Hash") -> None:
        """Add spectrograms and classes."""
        digest.update(self.images.numpy().tobytes())
        digest.update(self.classes.numpy().tobytes())


class ImageFolder:
    """Spectrograms in a folder that several processes read and write.

    Args:
        folder: The folder; it must exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_file(self, key: ImageKey) -> Path:
        """Return the file of a spectrogram, named by its settings and clip."""
        settings, name = key
        digest = hashlib.sha256(f"{settings.model_dump_json()} {name}".encode())
        return self.folder / f"{digest.hexdigest()}.npy"

    def __contains__(self, key: ImageKey) -> bool:
        return self.find_file(key).exists()

    def __getitem__(self, key: ImageKey) -> Tensor:
        return torch.from_numpy(np.load(self.find_file(key), allow_pickle=False))

    def __setitem__(self, key: ImageKey, image: Tensor) -> None:
        with replace_file(self.find_file(key)) as part:
            np.save(part, image.numpy(), allow_pickle=False)


class ImageCache:
    """Cache of spectrograms, shared by all folds, recipes and runs.

    Args:
        jobs: Number of clips computed in parallel; ``None``: one per core.
    """

    def __init__(self, jobs: int | None = None) -> None:
        self.jobs = jobs or count_cores()
        self.images: dict[ImageKey, Tensor] | ImageFolder = {}

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
        self.store(clips, settings, on_clip)
        side = (settings.image_height, settings.image_width)
        images = [self.images[settings, c.name] for c in clips]
        return ImageSet(
            torch.cat(images) if images else torch.zeros(0, 1, *side),
            number_classes(clips, labels),
            labels,
        )

    def store(
        self, clips: Sequence[Clip], settings: FrontendSettings, on_clip: Callable[[], None]
    ) -> None:
        """Compute the spectrograms that are not cached."""
        missing = [c for c in clips if (settings, c.name) not in self.images]
        for clip, image in zip(missing, self.compute(missing, settings), strict=True):
            self.images[settings, clip.name] = image
            on_clip()

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

        # One clip per core is faster than all cores on one clip, as its matrices are small.
        with one_thread(), ThreadPoolExecutor(self.jobs) as pool:
            yield from pool.map(compute_image, clips)


class FeatureCache:
    """Cache of the training inputs of every kind of recipe.

    A pickled cache shares its files with the original: spectrograms in a temporary folder that
    exists as long as the original does, embeddings in the folder of cached embeddings.

    Args:
        jobs: Number of clips computed in parallel; ``None``: one per core.
        folder: Folder of cached embeddings; ``None``: in the user's cache.
    """

    def __init__(self, jobs: int | None = None, folder: Path | None = None) -> None:
        self.images = ImageCache(jobs)
        self.embeddings = EmbeddingCache(folder, jobs)
        self.stored: set[tuple[str, str, AugmentationSettings]] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        self.share()
        return open_shared, (self.embeddings.folder, self.images.images)

    def share(self) -> None:
        """Keep spectrograms in files from now on, for other processes."""
        if isinstance(self.images.images, dict):
            images = ImageFolder(Path(mkdtemp(prefix="emovox-")))
            finalize(self, rmtree, images.folder, ignore_errors=True)
            for key, image in self.images.images.items():
                images[key] = image
            self.images.images = images

    def store(
        self,
        train: Iterable[Clip],
        validation: Iterable[Clip],
        recipe: Recipe,
        watcher: Watcher,
    ) -> None:
        """Compute a recipe's features in files, for the processes that this cache is shared with.

        Args:
            train: Clips with augmented copies.
            validation: Clips without them.
            recipe: The recipe.
            watcher: Receives progress updates.

        Raises:
            AudioError: A recording cannot be used.
        """
        self.share()
        copied, plain = ({clip.name: clip for clip in clips} for clips in (train, validation))
        title = name_features(recipe)
        if isinstance(recipe.frontend, FrontendSettings):
            clips = [*(copied | plain).values()]
            watcher.start_clips(title, self.images.count_unknown(clips, recipe.frontend))
            self.images.store(clips, recipe.frontend, watcher.end_clip)
            return
        if not recipe.augmentation.copies:
            copied, plain = {}, copied | plain
        encoder, alone = make_encoder(recipe.frontend), AugmentationSettings()
        wanted = [(recipe.augmentation, clip) for clip in copied.values()]
        wanted += [(alone, clip) for clip in plain.values()]
        missing = [(a, c) for a, c in wanted if (encoder.name, c.name, a) not in self.stored]
        watcher.start_clips(title, len(missing))
        for settings in (recipe.augmentation, alone):
            clips = [clip for found, clip in missing if found is settings]
            rows = self.embeddings.fetch(clips, encoder, settings)
            for clip, _ in zip(clips, rows, strict=True):
                self.stored.add((encoder.name, clip.name, settings))
                watcher.end_clip()

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


def open_shared(folder: Path, images: ImageFolder) -> FeatureCache:
    """Open a cache in another process, which computes one clip at a time."""
    cache = FeatureCache(1, folder)
    cache.images.images = images
    return cache


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


def describe_encoder(recipe: Recipe) -> str:
    """Return a sentence on what a recipe's encoder was trained on, for the model file."""
    settings = recipe.frontend
    if isinstance(settings, FrontendSettings):
        return "There is no encoder: the network reads spectrograms."
    if isinstance(settings, HuggingFaceSettings):
        return (
            f"The encoder is {settings.name}; what it was trained on stands in its own model card."
        )
    return ENCODER_TRAINING[settings.model]


def describe_encoder_licence(recipe: Recipe) -> str:
    """Return the licence of a recipe's encoder, for the model file; empty without one."""
    settings = recipe.frontend
    if isinstance(settings, FrontendSettings):
        return ""
    if isinstance(settings, HuggingFaceSettings):
        return f"that of {settings.name}, which stands in its own model card"
    return "MIT, Copyright (c) 2022 OpenAI"


def make_encoder(settings: EncoderSettings | HuggingFaceSettings) -> Encoder:
    """Make the encoder that a recipe names.

    Raises:
        EncoderError: The encoder cannot be obtained or used.
    """
    if isinstance(settings, HuggingFaceSettings):
        return HuggingFaceEncoder(settings)
    return SpeechEncoder(settings.model)
