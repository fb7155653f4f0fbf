"""References: other recordings of a clip's speaker, drawn in training as users will give them.

In use, a model may be given the mean embedding of some of the speaker's recordings, and what is
known of their emotions. In training, each clip therefore gets none, a few or many other recordings
of its speaker: of any emotions, all of one emotion, or neutral ones as in enrolment.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emovox.labels import EMOTIONS
from emovox.recipes.recipe import Recipe
from emovox.training.features import ClipSet

SHARE = 0.7
"""Share of the clips that get a reference."""

SHARE_ALIKE = 0.25
"""Share of the references whose recordings are all of one emotion."""

SHARE_NEUTRAL = 0.25
"""Share of the references that are neutral speech, of a few recordings."""

MOST_NEUTRAL = 5

KNOWN = 0.7
"""How far the emotions of a reference count as known; in use, they are estimates."""

PRIOR = 1.0
"""Number of recordings at which a reference counts half."""


class ReferenceDrawer:
    """Draws references for batches of training clips.

    Args:
        embeddings: Standardised embeddings of the clips, float32 ``(clips, features)``.
        classes: int64 ``(clips,)``: index of each clip's label.
        speakers: Speaker of each clip.
        corpora: Corpus of each clip.
        labels: Names of the classes.
        largest: Largest number of recordings of a reference.
    """

    def __init__(
        self,
        embeddings: Tensor,
        classes: Tensor,
        speakers: Sequence[str],
        corpora: Sequence[str],
        labels: Sequence[str],
        largest: int,
    ) -> None:
        self.embeddings = embeddings
        self.largest = largest
        self.known = KNOWN * torch.nn.functional.one_hot(classes, len(labels)).float()
        numbers = classes.numpy()
        names = np.array(speakers)
        self.of_speaker = {name: np.flatnonzero(names == name) for name in sorted(set(speakers))}
        self.speakers = names
        self.of_class = {
            name: {int(k): clips[numbers[clips] == k] for k in np.unique(numbers[clips])}
            for name, clips in self.of_speaker.items()
        }
        self.neutral = labels.index(EMOTIONS[0]) if EMOTIONS[0] in labels else -1
        self.class_offsets = measure_class_offsets(
            embeddings, {name: corpora[clips[0]] for name, clips in self.of_speaker.items()},
            self.of_class, len(labels),
        )  # fmt: skip

    def draw(self, clips: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw a reference for each clip of a batch.

        Args:
            clips: int64 ``(batch,)``: numbers of the clips.
            generator: Source of all draws.

        Returns:
            Mean embeddings ``(batch, features)``; weights ``(batch,)``, 0 for no reference; known
            shares of the labels ``(batch, classes)``.
        """
        rng = np.random.default_rng(
            int(torch.randint(2**62, (1,), generator=generator, dtype=torch.int64))
        )
        means = torch.zeros(len(clips), self.embeddings.shape[1])
        weights = torch.zeros(len(clips))
        labels = torch.zeros(len(clips), self.known.shape[1])
        for row, clip in enumerate(clips.tolist()):
            chosen = self.choose(clip, rng)
            if len(chosen):
                means[row] = self.embeddings[chosen].mean(0)
                labels[row] = self.known[chosen].mean(0)
                weights[row] = len(chosen) / (len(chosen) + PRIOR)
        return means, weights, labels

    def choose(self, clip: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Choose the recordings of a clip's reference, with repetition; empty for none."""
        speaker = self.speakers[clip]
        candidates, n = self.of_speaker[speaker], int(rng.integers(1, self.largest + 1))
        if rng.random() > SHARE:
            return candidates[:0]
        kind, by_class = rng.random(), self.of_class[speaker]
        if kind < SHARE_ALIKE:
            candidates = by_class[rng.choice(list(by_class))]
        elif kind < SHARE_ALIKE + SHARE_NEUTRAL and self.neutral in by_class:
            candidates, n = by_class[self.neutral], min(n, MOST_NEUTRAL)
        candidates = candidates[candidates != clip]
        return rng.choice(candidates, n) if len(candidates) else candidates


def make_drawer(
    recipe: Recipe, training: ClipSet, speakers: Sequence[str], corpora: Sequence[str]
) -> ReferenceDrawer:
    """Make what draws the references of a recipe's training clips.

    Args:
        recipe: The recipe.
        training: Standardised embeddings.
        speakers: Speaker of each clip.
        corpora: Corpus of each clip.

    Raises:
        ValueError: The numbers of speakers or corpora are not that of the clips.
    """
    if not len(speakers) == len(corpora) == len(training):
        raise ValueError(
            f"found {len(speakers)} speakers and {len(corpora)} corpora; expected one for each of "
            f"{len(training)} clips"
        )
    embeddings = torch.cat([batch for batch, _ in training.split_batches(1_000)])
    return ReferenceDrawer(
        embeddings,
        training.classes,
        speakers,
        corpora,
        training.labels,
        recipe.training.references,
    )


def measure_class_offsets(
    embeddings: Tensor,
    corpora: dict[str, str],
    of_class: dict[str, dict[int, npt.NDArray[np.int64]]],
    n_classes: int,
) -> Tensor:
    """Measure how the embeddings of a label differ from the average of a speaker's labels.

    Args:
        embeddings: Standardised embeddings, ``(clips, features)``.
        corpora: Corpus of each speaker; each counts equally.
        of_class: Clips of each speaker and label.
        n_classes: Number of labels.

    Returns:
        float32 ``(classes, features)``; 0 for labels that no speaker with two labels has.
    """
    names = sorted(set(corpora.values()))
    sums = torch.zeros(len(names), n_classes, embeddings.shape[1])
    counts = torch.zeros(len(names), n_classes)
    for speaker, by_class in of_class.items():
        if len(by_class) < 2:
            continue
        means = {k: embeddings[clips].mean(0) for k, clips in by_class.items()}
        average = torch.stack(list(means.values())).mean(0)
        at = names.index(corpora[speaker])
        for k, mean in means.items():
            sums[at, k] += mean - average
            counts[at, k] += 1
    of_corpus = sums / counts.clamp(min=1)[..., None]  # (corpora, classes, features)
    has = (counts > 0).float()[..., None]
    offsets: Tensor = (of_corpus * has).sum(0) / has.sum(0).clamp(min=1)
    return offsets
