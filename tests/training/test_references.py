"""References drawn in training: who they are from, what they average, and what they teach."""

import numpy as np
import pytest
import torch

from emovox.labels import EMOTIONS
from emovox.recipes.recipe import load_recipe
from emovox.training.embeddings import EmbeddingSet
from emovox.training.networks import EmbeddingHead
from emovox.training.references import (
    KNOWN,
    MOST_NEUTRAL,
    PRIOR,
    SHARE,
    ReferenceDrawer,
    make_drawer,
)
from emovox.training.trainer import train_network

LABELS = ("neutral", "happy", "sad")
N_SPEAKERS, N_CLIPS = 6, 24
SETTINGS = ["network.hidden_units=[8]", "training.references=4", "training.epochs=3"]


def make_corpus() -> tuple[torch.Tensor, torch.Tensor, list[str], list[str]]:
    """Make clips whose first feature is the speaker and whose others are the label."""
    speakers = [f"s{clip % N_SPEAKERS}" for clip in range(N_SPEAKERS * N_CLIPS)]
    classes = torch.tensor([clip // N_SPEAKERS % 3 for clip in range(N_SPEAKERS * N_CLIPS)])
    embeddings = torch.zeros(len(classes), 4)
    embeddings[:, 0] = torch.tensor([float(name[1:]) for name in speakers])
    embeddings[:, 1:] = torch.nn.functional.one_hot(classes, 3)
    return embeddings, classes, speakers, ["a" if name < "s3" else "b" for name in speakers]


@pytest.fixture(scope="module")
def drawer() -> ReferenceDrawer:
    embeddings, classes, speakers, corpora = make_corpus()
    return ReferenceDrawer(embeddings, classes, speakers, corpora, LABELS, 4)


def test_a_reference_is_of_the_speaker_and_never_the_clip(drawer: ReferenceDrawer) -> None:
    rng = np.random.default_rng(0)
    sizes, alike, without = set(), 0, 0
    for draw in range(600):
        clip = draw % (N_SPEAKERS * N_CLIPS)
        chosen = drawer.choose(clip, rng)
        assert clip not in chosen
        assert {drawer.speakers[other] for other in chosen} <= {drawer.speakers[clip]}
        without += not len(chosen)
        sizes.add(len(chosen))
        alike += len(chosen) > 1 and len({other // N_SPEAKERS % 3 for other in chosen}) == 1
    assert sizes == {0, 1, 2, 3, 4}
    assert 4 <= MOST_NEUTRAL
    assert abs(without / 600 - (1 - SHARE)) < 0.06
    assert alike > 100


def test_means_weights_and_known_labels_belong_together(drawer: ReferenceDrawer) -> None:
    clips = torch.arange(60)
    means, weights, labels = drawer.draw(clips, torch.Generator().manual_seed(1))
    has = weights > 0
    assert torch.equal(means[has, 0], clips[has] % N_SPEAKERS * 1.0)
    # The other features are the labels, of which only a part counts as known.
    torch.testing.assert_close(labels, KNOWN * means[:, 1:] * has[:, None])
    expected = {round(n / (n + PRIOR), 6) for n in range(1, 5)}
    assert {round(w, 6) for w in weights[has].tolist()} == expected
    again = drawer.draw(clips, torch.Generator().manual_seed(1))
    assert all(map(torch.equal, again, (means, weights, labels)))


def test_class_offsets_are_what_a_label_adds_to_a_speakers_average(drawer: ReferenceDrawer) -> None:
    expected = torch.cat([torch.zeros(3, 1), torch.eye(3) - 1 / 3], dim=1)
    torch.testing.assert_close(drawer.class_offsets, expected)


def test_taking_a_reference_off_leaves_what_is_not_the_speakers() -> None:
    embeddings, classes, speakers, corpora = make_corpus()
    recipe = load_recipe("encoder", SETTINGS)
    network = EmbeddingHead(recipe, 4, 3, torch.Generator().manual_seed(0))
    drawer = ReferenceDrawer(embeddings, classes, speakers, corpora, LABELS, 4)
    assert network.baseline is not None
    network.baseline.class_offsets.copy_(drawer.class_offsets)
    own = [clip for clip, name in enumerate(speakers) if name == "s5" and classes[clip] == 0]
    reference = embeddings[own].mean(0, keepdim=True)
    known = torch.tensor([[1.0, 0.0, 0.0]])
    left = network.take_off(embeddings[own[:1]], (reference, torch.ones(1), known))
    # What is left is what neutral adds to the average of all labels.
    torch.testing.assert_close(left, torch.tensor([[0.0, 2 / 3, -1 / 3, -1 / 3]]))
    nothing = network.take_off(embeddings, (reference, torch.zeros(1), known))
    assert torch.equal(nothing, embeddings)


def test_training_with_references_separates_speakers_from_labels() -> None:
    """Where only the difference to the speaker's own average tells the label."""
    generator = torch.Generator().manual_seed(2)
    speakers = [f"s{clip % 40}" for clip in range(40 * 16)]
    classes = torch.tensor([clip // 40 % 2 for clip in range(40 * 16)])
    of_speaker = 2 * torch.randn(40, generator=generator)
    embeddings = of_speaker[torch.arange(640) % 40] + classes.float()
    labels = ("happy", "sad")
    recipe = load_recipe(
        "encoder",
        [
            "network.hidden_units=[16]",
            "network.members=1",
            "network.input_dropout=0",
            "regularization.dropout=0",
            "augmentation.copies=0",
            "training.references=10",
            "training.epochs=40",
            "training.learning_rate=0.01",
        ],
    )
    data = EmbeddingSet(embeddings[:, None, None], classes, labels=labels)
    nothing = EmbeddingSet(torch.zeros(0, 1, 1), classes[:0], labels=labels)
    trained = train_network(recipe, data, nothing, None, corpora=["a"] * 640, speakers=speakers)
    network = trained.network
    assert isinstance(network, EmbeddingHead)
    # The two labels of a speaker never heard, without and with their average.
    inputs = (torch.tensor([[2.0], [3.0]]) - trained.mean) / trained.std
    reference = (inputs.mean(0, keepdim=True), torch.ones(1), torch.zeros(1, 2))
    with torch.inference_mode():
        without, adapted = (
            torch.softmax(logits, 1)[:, 1]
            for logits in (network(inputs), network(inputs, reference))
        )
    assert abs(float(without[1] - without[0])) < 0.2
    assert float(adapted[1] - adapted[0]) > 0.4


def test_clips_without_speakers_are_refused() -> None:
    embeddings, classes, speakers, _ = make_corpus()
    data = EmbeddingSet(embeddings[:, None], classes, labels=LABELS)
    with pytest.raises(ValueError, match="144 speakers and 0 corpora; expected one for each"):
        make_drawer(load_recipe("encoder", SETTINGS), data, speakers, [])


def test_labels_without_neutral_have_references_too() -> None:
    embeddings, classes, speakers, corpora = make_corpus()
    names = ("happy", "sad", "stressed")
    assert EMOTIONS[0] == "neutral"
    drawer = ReferenceDrawer(embeddings, classes, speakers, corpora, names, 4)
    _, weights, _ = drawer.draw(torch.arange(60), torch.Generator().manual_seed(1))
    assert (weights > 0).sum() > 30
