"""Images of clips, each computed once and kept: nothing random comes before them."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from emovox.audio import load_audio
from emovox.corpora.clips import Clip
from emovox.labels import EMOTIONS
from emovox.training.frontend import SpectrogramFrontend
from emovox.training.recipe import FrontendSettings


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images and the class of each.

    Attributes:
        images: float32 ``(clips, 1, height, width)``, in dB or standardised.
        classes: int64 ``(clips,)``, index into :data:`emovox.labels.EMOTIONS`.
    """

    images: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return len(self.classes)

    def standardize(self, mean_db: float, std_db: float) -> "ImageSet":
        """Return the set with ``(image - mean_db) / std_db``."""
        return ImageSet((self.images - mean_db) / std_db, self.classes)


class ImageCache:
    """Decodes each clip once, for as many folds, recipes and runs as need it.

    Args:
        jobs: Clips computed at the same time; ``None``: one per core.
    """

    def __init__(self, jobs: int | None = None) -> None:
        self.jobs = jobs or os.cpu_count() or 1
        self.images: dict[tuple[FrontendSettings, str], Tensor] = {}

    def load(
        self,
        clips: Sequence[Clip],
        settings: FrontendSettings,
        on_clip: Callable[[], None] = lambda: None,
    ) -> ImageSet:
        """Return the images of ``clips`` in their order, computing those not yet known.

        Args:
            clips: The recordings.
            settings: The front end.
            on_clip: Called after each newly computed clip, for a progress bar.

        Returns:
            Images in dB, not yet standardised.

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
            torch.tensor([EMOTIONS.index(c.emotion) for c in clips], dtype=torch.int64),
        )

    def count_unknown(self, clips: Sequence[Clip], settings: FrontendSettings) -> int:
        """Return how many of the clips are still to be computed."""
        return sum((settings, c.name) not in self.images for c in clips)

    def compute(self, clips: Sequence[Clip], settings: FrontendSettings) -> Iterable[Tensor]:
        """Compute images ``(1, 1, height, width)`` one clip per core at a time."""
        frontend = SpectrogramFrontend(settings)

        def compute_image(clip: Clip) -> Tensor:
            waveform = load_audio(clip.path, settings.sample_rate_hz)
            with torch.inference_mode():
                image: Tensor = frontend(torch.from_numpy(waveform.samples)[None])
            return image.clone()

        threads = torch.get_num_threads()
        # One clip per core beats all cores on one clip: its matrices are small.
        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(self.jobs) as pool:
                yield from pool.map(compute_image, clips)
        finally:
            torch.set_num_threads(threads)
