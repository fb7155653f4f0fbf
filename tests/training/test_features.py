"""The cache of features, shared with other processes."""

import pickle
from pathlib import Path

import torch

from emovox.corpora.read import load_clips
from emovox.progress import Watcher
from emovox.recipes.recipe import Recipe
from emovox.training.features import FeatureCache, ImageSet


class Counter(Watcher):
    """Counts clips."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def start_clips(self, action: str, n_clips: int) -> None:
        assert action == "spectrograms"
        self.counts.append(n_clips)

    def end_clip(self) -> None:
        self.counts[-1] -= 1


def test_a_pickled_cache_shares_its_spectrograms(tiny_recipe: Recipe, tiny_corpus: Path) -> None:
    clips, cache, counter = load_clips(tiny_corpus), FeatureCache(jobs=2), Counter()
    images = cache.load(clips[:4], tiny_recipe)
    other = pickle.loads(pickle.dumps(cache))  # noqa: S301 - our own bytes
    assert other.count_unknown(clips, tiny_recipe) == len(clips) - 4
    # Computed by either later, they are found by both.
    cache.store(clips[:6], clips[4:8], tiny_recipe, counter)
    assert counter.counts == [0]
    other.load(clips[8:9], tiny_recipe)
    assert cache.count_unknown(clips[:9], tiny_recipe) == 0
    again = other.load(clips[:4], tiny_recipe)
    assert isinstance(images, ImageSet)
    assert isinstance(again, ImageSet)
    assert torch.equal(again.images, images.images)
    cache.store(clips, clips, tiny_recipe, counter)
    assert counter.counts == [0, 0]
    assert other.count_unknown(clips, tiny_recipe) == 0
    folder = other.images.images.folder
    assert len(list(folder.iterdir())) == len(clips)
    del cache
    assert not folder.exists()
