import math
from dataclasses import replace

import pytest
import torch
from tests.training.tiny_trainings import NONE, TRAIN, make_recipe, to_bytes
from torch.nn import functional

from emovox.recipes.recipe import load_recipe
from emovox.training.clip_weights import ClipWeights, measure_loss, weigh_clips
from emovox.training.trainer import train_network

CORPORA = ["big"] * 9 + ["small"] * 4
CLASSES = torch.tensor([0, 1, 2] * 3 + [0, 1, 0, 1])
BOTH = ("data.balance=sqrt", "training.mask_absent_labels=true")


def test_corpora_weigh_by_one_over_the_root_of_their_size() -> None:
    found = weigh_clips(load_recipe("encoder", [BOTH[0]]), CLASSES, 4, CORPORA)
    assert found.weights is not None
    assert found.present is None
    big, small = found.weights[0].item(), found.weights[-1].item()
    assert small / big == pytest.approx(3 / 2)
    assert found.weights.mean().item() == pytest.approx(1)
    assert found.weights[:9].tolist() == [big] * 9


def test_labels_of_other_corpora_are_masked() -> None:
    found = weigh_clips(load_recipe("encoder", [BOTH[1]]), CLASSES, 4, CORPORA)
    assert found.weights is None
    assert found.present is not None
    assert found.present[0].tolist() == [True, True, True, False]
    assert found.present[-1].tolist() == [True, True, False, False]


def test_without_the_settings_nothing_is_weighed() -> None:
    assert weigh_clips(load_recipe("encoder"), CLASSES, 4, ()) == ClipWeights()
    with pytest.raises(ValueError, match="corpora of 0 clips; expected one for each of 13"):
        weigh_clips(load_recipe("encoder", [BOTH[0]]), CLASSES, 4, ())


def test_loss_by_hand() -> None:
    logits = torch.tensor([[0.0, 1.0, 5.0], [2.0, 0.0, 1.0]])
    classes = torch.tensor([1, 0])
    present = torch.tensor([[True, True, False], [True, True, True]])
    weights = ClipWeights(torch.tensor([3.0, 0.5]), present)
    two = [math.log(1 / (1 + math.e)), math.log(math.e / (1 + math.e))]
    first = -0.8 * two[1] - 0.2 * sum(two) / 2
    second = functional.cross_entropy(logits[1:], classes[1:], label_smoothing=0.2).item()
    found = measure_loss(logits, classes, 0.2, weights)
    assert found.item() == pytest.approx((3 * first + 0.5 * second) / 2)


def test_masked_logits_get_no_gradient_and_the_others_a_finite_one() -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    present = torch.tensor([[True, True, False, False]] * 6)
    loss = measure_loss(logits, torch.tensor([0, 1] * 3), 0.1, ClipWeights(None, present))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[:, 2:].abs().max() == 0
    assert logits.grad[:, :2].isfinite().all()
    assert logits.grad[:, :2].abs().min() > 0


def test_all_alike_is_the_plain_loss() -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    classes = torch.arange(6) % 4
    plain = measure_loss(logits, classes, 0.1, ClipWeights())
    assert torch.equal(plain, functional.cross_entropy(logits, classes, label_smoothing=0.1))
    same = ClipWeights(torch.ones(6), torch.ones(6, 4, dtype=torch.bool))
    torch.testing.assert_close(measure_loss(logits, classes, 0.1, same), plain)


def test_each_member_gets_the_weights_of_its_clip() -> None:
    weights = ClipWeights(torch.tensor([1.0, 2.0]), torch.eye(2, dtype=torch.bool)).repeat(3)
    assert weights.weights is not None
    assert weights.weights.tolist() == [1, 1, 1, 2, 2, 2]
    assert weights.present is not None
    assert weights.present[:, 0].tolist() == [True] * 3 + [False] * 3
    assert ClipWeights().repeat(3) == ClipWeights()


def test_a_training_with_weights_differs_and_repeats() -> None:
    # The second corpus has only half of the labels.
    chosen = torch.tensor([i for i in range(48) if i < 24 or i % 8 < 4])
    clips = replace(TRAIN, images=TRAIN.images[chosen], classes=TRAIN.classes[chosen])
    corpora = ["a" if i < 24 else "b" for i in chosen.tolist()]
    plain = to_bytes(train_network(make_recipe(), clips, NONE, None, corpora=corpora))
    for changes in ((BOTH[0],), (BOTH[1],), BOTH):
        recipe = make_recipe(*changes)
        found = to_bytes(train_network(recipe, clips, NONE, None, corpora=corpora))
        assert found != plain
        assert found == to_bytes(train_network(recipe, clips, NONE, None, corpora=corpora))
