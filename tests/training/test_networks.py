import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from emovox.export.keras import import_keras
from emovox.recipes.recipe import load_recipe
from emovox.recipes.settings import RegularizationSettings
from emovox.training.networks import (
    EmbeddingHead,
    GeneratorDropout,
    LayeredNetwork,
    MemberLinear,
    SpectrogramCnn,
    WaveformClassifier,
    init_glorot_uniform,
    make_frontend,
    make_network,
    mask_unseen,
)


def make_generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_cnn(name: str = "vanilla", *changes: str, seed: int = 0) -> SpectrogramCnn:
    return SpectrogramCnn(load_recipe(name, changes), 8, make_generator(seed))


def list_weights(cnn: LayeredNetwork) -> list[tuple[Tensor, Tensor]]:
    """Return each layer's kernel and bias, first layer to last."""
    layers = [*cnn.conv_layers(), *cnn.linear_layers()]
    weights = []
    for layer in layers:
        assert isinstance(layer.bias, Tensor)
        weights.append((layer.weight.detach(), layer.bias.detach()))
    return weights


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_reference_networks_have_1_625_608_parameters() -> None:
    assert count_parameters(make_cnn("vanilla")) == 1_625_608
    assert count_parameters(make_cnn("optimized")) == 1_625_608
    shapes = [tuple(layer.weight.shape) for layer in make_cnn().conv_layers()]
    assert shapes == [(32, 1, 3, 3), (64, 32, 3, 3)]
    shapes = [tuple(layer.weight.shape) for layer in make_cnn().linear_layers()]
    assert shapes == [(128, 12_544), (8, 128)]


def test_depth_and_widths_follow_the_recipe() -> None:
    cnn = make_cnn(
        "vanilla",
        "network.conv_channels=[3]",
        "network.dense_units=[]",
        "frontend.image_height=11",
        "frontend.image_width=7",
    )
    # (11 - 2) // 2 = 4 rows and (7 - 2) // 2 = 2 columns of 3 channels.
    assert count_parameters(cnn) == (9 + 1) * 3 + (4 * 2 * 3 + 1) * 8
    assert cnn(torch.zeros(5, 1, 11, 7)).shape == (5, 8)


def test_first_weights_are_glorot_uniform_and_biases_zero() -> None:
    cnn = make_cnn()
    limits = [
        math.sqrt(6 / (9 * 1 + 9 * 32)),
        math.sqrt(6 / (9 * 32 + 9 * 64)),
        math.sqrt(6 / (12_544 + 128)),
        math.sqrt(6 / (128 + 8)),
    ]
    for (kernel, bias), limit in zip(list_weights(cnn), limits, strict=True):
        assert 0.95 * limit < kernel.abs().max().item() <= limit * (1 + 1e-6)
        assert kernel.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.12)
        assert abs(kernel.mean().item()) < 4 * limit / math.sqrt(3 * kernel.numel())
        assert not bias.any()


@pytest.mark.parametrize(
    ("shape", "keras_shape"), [((6, 4, 3, 5), (3, 5, 4, 6)), ((300, 20), (20, 300))]
)
def test_glorot_limit_is_keras(shape: tuple[int, ...], keras_shape: tuple[int, ...]) -> None:
    kernel = torch.empty(200, *shape)[0]
    draws = []
    generator = make_generator()
    for _ in range(50):
        init_glorot_uniform(kernel, generator)
        draws.append(kernel.abs().max().item())
    keras = import_keras()
    initializer = keras.initializers.GlorotUniform(seed=keras.random.SeedGenerator(1))
    expected = [
        float(np.abs(keras.ops.convert_to_numpy(initializer(keras_shape))).max()) for _ in range(50)
    ]
    assert max(draws) == pytest.approx(max(expected), rel=2e-3)


def test_same_seed_gives_the_same_first_weights() -> None:
    first, again, other = make_cnn(seed=1), make_cnn(seed=1), make_cnn(seed=2)
    for a, b, c in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.ndim == 1 or not torch.equal(a, c)


def test_pooling_before_relu_equals_relu_before_pooling() -> None:
    cnn = make_cnn()
    for _, bias in list_weights(cnn):
        nn.init.normal_(bias, std=0.5, generator=make_generator(1))
    image = torch.randn(3, 1, 64, 64, generator=make_generator(2))
    x = image
    for conv in cnn.conv_layers():
        x = functional.max_pool2d(functional.relu(conv(x)), 2)
    dense, output = cnn.linear_layers()
    expected = output(functional.relu(dense(x.flatten(1))))
    torch.testing.assert_close(cnn(image), expected, rtol=0, atol=1e-5)
    assert expected.std().item() > 0.05


def fill_kernels(cnn: LayeredNetwork, *values: float) -> None:
    for (kernel, bias), value in zip(list_weights(cnn), values, strict=True):
        kernel.fill_(value)
        bias.fill_(100)  # Keras' kernel regularizers leave biases alone


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 0.0),
        ({"l1": {"conv": 0.1}}, 0.1 * 9 * 2),
        ({"l2": {"conv": 0.1}}, 0.1 * 9 * 4),
        ({"l1": {"dense": 0.1}}, 0.1 * 16 * 0.5),
        ({"l2": {"dense": 0.1}}, 0.1 * 16 * 0.25),
        ({"l1": {"output": 0.1}}, 0.1 * 32 * 3),
        ({"l2": {"output": 0.1}}, 0.1 * 32 * 9),
        ({"l1": 1e-3, "l2": 0.01}, 1e-3 * (9 * 2 + 16 * 0.5) + 0.01 * (9 * 4 + 16 * 0.25)),
    ],
)
def test_penalty_is_weight_times_the_plain_sum(
    settings: dict[str, object], expected: float
) -> None:
    # 6x6 image, one 3x3 kernel, pooled to 2x2 = 4 values; dense 4 x 4 = 16, output 4 x 8 = 32.
    cnn = make_cnn(
        "vanilla",
        "frontend.image_height=6",
        "frontend.image_width=6",
        "network.conv_channels=[1]",
        "network.dense_units=[4]",
    )
    fill_kernels(cnn, 2.0, -0.5, 3.0)
    penalty = cnn.kernel_penalty(RegularizationSettings.model_validate(settings))
    assert penalty.item() == pytest.approx(expected, rel=1e-6)


def test_penalty_equals_keras_regularizers() -> None:
    cnn = make_cnn("vanilla", "network.conv_channels=[4, 6]", "network.dense_units=[10, 12]")
    settings = RegularizationSettings.model_validate(
        {
            "l1": {"conv": 0.02, "dense": 0.03, "output": 0.005},
            "l2": {"conv": 0.3, "dense": 0.2, "output": 0.7},
        }
    )
    regularizers = import_keras().regularizers
    conv, dense = regularizers.L1L2(0.02, 0.3), regularizers.L1L2(0.03, 0.2)
    output = regularizers.L1L2(0.005, 0.7)
    kernels = [kernel for kernel, _ in list_weights(cnn)]
    pairs = zip([conv, conv, dense, dense, output], kernels, strict=True)
    expected = sum(float(regularizer(kernel)) for regularizer, kernel in pairs)
    assert cnn.kernel_penalty(settings).item() == pytest.approx(expected, rel=1e-5)


def test_penalty_pulls_twice_as_hard_as_weight_decay() -> None:
    cnn = make_cnn("vanilla", "network.conv_channels=[2]", "network.dense_units=[]")
    settings = RegularizationSettings.model_validate({"l2": {"output": 0.01}})
    cnn.kernel_penalty(settings).backward()
    (output,) = cnn.linear_layers()
    assert output.weight.grad is not None
    torch.testing.assert_close(output.weight.grad, 0.02 * output.weight.detach())
    assert cnn.conv_layers()[0].weight.grad is None


def test_dropout_draws_from_its_generator_alone() -> None:
    ones = torch.ones(64, 128)
    generator = make_generator(5)
    dropout = GeneratorDropout(0.5, generator)
    state = generator.get_state()
    first, second = dropout(ones), dropout(ones)
    assert not torch.equal(first, second)
    generator.set_state(state)
    torch.manual_seed(99)  # the global generator has no say
    assert torch.equal(dropout(ones), first)
    assert torch.equal(dropout(ones), second)


def test_dropout_draws_what_committed_figures_were_trained_with() -> None:
    dropped = GeneratorDropout(0.4, make_generator())(torch.ones(2, 12))
    # torch.empty(24).bernoulli_(0.6, generator=torch.Generator().manual_seed(0)), PyTorch 2.13.
    kept = "001000111111101111001011"
    assert (dropped != 0).int().flatten().tolist() == [int(digit) for digit in kept]


@pytest.mark.parametrize("rate", [0.25, 0.5, 0.8])
def test_dropout_scales_what_it_keeps(rate: float) -> None:
    values = torch.full((200, 200), 3.0, requires_grad=True)
    dropped = GeneratorDropout(rate, make_generator())(values)
    kept = dropped != 0
    # 40,000 draws: a standard deviation of at most 0.0025.
    assert 1 - kept.float().mean().item() == pytest.approx(rate, abs=0.01)
    torch.testing.assert_close(dropped[kept], torch.full((int(kept.sum()),), 3 / (1 - rate)))
    dropped.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad, kept / (1 - rate))


@pytest.mark.parametrize(("rate", "training"), [(0.5, False), (0.0, True)])
def test_dropout_leaves_values_alone(rate: float, training: bool) -> None:
    generator = make_generator()
    state = generator.get_state()
    values = torch.randn(4, 5)
    dropout = GeneratorDropout(rate, generator).train(training)
    assert torch.equal(dropout(values), values)
    assert torch.equal(generator.get_state(), state)


def test_dropout_stands_after_each_dense_layer_but_the_output() -> None:
    cnn = make_cnn("optimized", "network.dense_units=[16, 12]")
    kinds = [type(layer).__name__ for layer in cnn.layers]
    assert kinds[kinds.index("Flatten") + 1 :] == [
        *["Linear", "ReLU", "GeneratorDropout"] * 2,
        "Linear",
    ]
    image = torch.randn(2, 1, 64, 64, generator=make_generator(1))
    assert not torch.equal(cnn(image), cnn(image))
    cnn.eval()
    assert torch.equal(cnn(image), cnn(image))


@pytest.mark.parametrize(
    "make_waveform",
    [
        lambda: 0.1 * torch.randn(2, 24_000, generator=make_generator()),
        lambda: torch.zeros(2, 24_000),
        lambda: torch.ones(1, 1),
    ],
    ids=["noise", "silence", "one sample"],
)
def test_classifier_standardises_and_gives_probabilities(
    make_waveform: Callable[[], Tensor],
) -> None:
    recipe = load_recipe("vanilla")
    frontend, cnn = make_frontend(recipe), make_cnn()
    waveform = make_waveform()
    with torch.inference_mode():
        probabilities = WaveformClassifier(frontend, cnn, torch.tensor(-41.5), torch.tensor(17.25))(
            waveform
        )
        logits = cnn((frontend(waveform) + 41.5) / 17.25)
    torch.testing.assert_close(probabilities, logits.softmax(1), rtol=0, atol=1e-6)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(len(waveform)))
    assert probabilities.shape == (len(waveform), 8)


def make_head(*changes: str, seed: int = 0) -> EmbeddingHead:
    changes = ("network.hidden_units=[16, 12]", "network.members=3", *changes)
    return EmbeddingHead(load_recipe("encoder", changes), 20, 8, make_generator(seed))


def list_members(head: EmbeddingHead) -> list[list[tuple[Tensor, Tensor]]]:
    """Return each member's kernels and biases, as if it stood alone."""
    (wide, wide_bias), *others = list_weights(head)
    members = len(others[0][0]) if others else len(wide) // 8
    firsts = zip(wide.chunk(members), wide_bias.chunk(members), strict=True)
    return [
        [first, *((kernel[i], bias[i]) for kernel, bias in others)]
        for i, first in enumerate(firsts)
    ]


def apply_member(layers: list[tuple[Tensor, Tensor]], x: Tensor) -> Tensor:
    for kernel, bias in layers[:-1]:
        x = functional.relu(x @ kernel.T + bias)
    kernel, bias = layers[-1]
    return x @ kernel.T + bias


def test_head_is_dense_layers_from_embedding_to_classes() -> None:
    head = make_head()
    assert [type(layer).__name__ for layer in head.layers] == [
        *["GeneratorDropout", "Linear", "Unflatten"],
        *["ReLU", "GeneratorDropout", "MemberLinear"] * 2,
    ]
    shapes = [[tuple(kernel.shape) for kernel, _ in member] for member in list_members(head)]
    assert shapes == [[(16, 20), (12, 16), (8, 12)]] * 3
    assert head.conv_layers() == []
    assert head(torch.zeros(5, 20)).shape == (5, 8)
    alone = make_head("network.hidden_units=[]", "network.members=1")
    assert [tuple(kernel.shape) for kernel, _ in list_weights(alone)] == [(8, 20)]
    assert alone(torch.zeros(5, 20)).shape == (5, 8)


def test_member_linear_by_hand() -> None:
    layer = MemberLinear(2, 3, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[1.0, 2.0, 3.0]], [[-1.0, 0.0, 10.0]]]))
        layer.bias.copy_(torch.tensor([[0.5], [-4.0]]))
    x = torch.tensor([[[1.0, 1.0, 1.0], [2.0, 5.0, 1.0]]])
    assert layer(x).tolist() == [[[6.5], [4.0]]]
    assert layer(x[0]).tolist() == [[6.5], [4.0]]


@pytest.mark.parametrize("hidden", ["[]", "[16]", "[16, 12]"])
@pytest.mark.parametrize("members", [1, 3])
def test_heads_logits_are_the_mean_of_its_members(hidden: str, members: int) -> None:
    head = make_head(f"network.hidden_units={hidden}", f"network.members={members}").eval()
    x = torch.randn(64, 20, generator=make_generator(1))
    alone = torch.stack([apply_member(layers, x) for layers in list_members(head)], dim=1)
    assert alone.shape == (64, members, 8)
    torch.testing.assert_close(head.compute_members(x), alone)
    torch.testing.assert_close(head(x), alone.mean(1))
    assert members == 1 or alone.std(1).min() > 0


def test_each_member_learns_from_its_own_loss() -> None:
    changes = ("network.input_dropout=0", "regularization.dropout=0")
    head = make_head(*changes)
    x = torch.randn(64, 20, generator=make_generator(1))
    classes = torch.randint(8, (64,), generator=make_generator(2))
    loss, logits = head.compute_loss(x, classes, 0.1)
    alone = [apply_member(layers, x) for layers in list_members(head)]
    torch.testing.assert_close(logits, torch.stack(alone).mean(0))
    losses = [functional.cross_entropy(z, classes, label_smoothing=0.1) for z in alone]
    assert loss.item() == pytest.approx(sum(one.item() for one in losses) / 3, rel=1e-6)
    mean_logits_loss = functional.cross_entropy(logits, classes, label_smoothing=0.1)
    assert loss.item() > mean_logits_loss.item() + 0.01
    # What the second member is changes nothing of how the others learn.
    gradients = []
    for change in (0.0, 1.0):
        other = make_head(*changes)
        with torch.no_grad():
            list_members(other)[1][0][0].add_(change)
        other.compute_loss(x, classes, 0.1)[0].backward()
        gradient = other.linear_layers()[0].weight.grad
        assert gradient is not None
        gradients.append(gradient.chunk(3))
    assert torch.equal(gradients[0][0], gradients[1][0])
    assert torch.equal(gradients[0][2], gradients[1][2])
    assert not torch.allclose(gradients[0][1], gradients[1][1])


def test_head_starts_glorot_uniform_by_its_generator() -> None:
    first, again, other = make_head(seed=1), make_head(seed=1), make_head(seed=2)
    # The first kernels of all members are one layer.
    fans = (20 + 3 * 16, 16 + 12, 12 + 8)
    for member in list_members(first):
        for (kernel, bias), fan in zip(member, fans, strict=True):
            limit = math.sqrt(6 / fan)
            assert 0.85 * limit < kernel.abs().max().item() <= limit * (1 + 1e-6)
            assert not bias.any()
    for a, b, c in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not a.any() or not torch.equal(a, c)


@pytest.mark.parametrize(
    "changes",
    [
        ("network.input_dropout=0.5", "regularization.dropout=0"),
        ("network.input_dropout=0", "regularization.dropout=0.5"),
    ],
)
def test_head_drops_out_in_training_alone(changes: tuple[str, ...]) -> None:
    head, again = make_head(*changes), make_head(*changes)
    embeddings = torch.randn(64, 20, generator=make_generator(1))
    first, second = head(embeddings), head(embeddings)
    assert not torch.equal(first, second)
    torch.manual_seed(99)  # the global generator has no say
    assert torch.equal(again(embeddings), first)
    assert torch.equal(again(embeddings), second)
    head.eval()
    alone = [apply_member(layers, embeddings) for layers in list_members(head)]
    torch.testing.assert_close(head(embeddings), torch.stack(alone).mean(0))


def test_heads_input_dropout_leaves_out_features() -> None:
    head = make_head("network.input_dropout=0.25", "regularization.dropout=0")
    dropped = head.layers[0](torch.ones(2_000, 20))
    # 40,000 draws: a standard deviation of 0.0022.
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    torch.testing.assert_close(dropped.unique(), torch.tensor([0, 4 / 3]))


def test_penalty_of_a_head_is_that_of_its_dense_layers() -> None:
    head = make_head("network.hidden_units=[4]", "network.members=2")
    fill_kernels(head, -0.5, 3.0)
    settings = {"l1": {"conv": 7, "dense": 0.1, "output": 0.2}, "l2": {"dense": 0.3}}
    penalty = head.kernel_penalty(RegularizationSettings.model_validate(settings))
    assert penalty.item() == pytest.approx(2 * (0.1 * 80 * 0.5 + 0.2 * 32 * 3 + 0.3 * 80 * 0.25))
    assert head.kernel_penalty(load_recipe("encoder").regularization).item() == 0


def test_recipe_names_its_network() -> None:
    head = make_network(load_recipe("encoder"), 30, 8, make_generator())
    assert isinstance(head, EmbeddingHead)
    assert head.linear_layers()[0].in_features == 30
    cnn = make_network(load_recipe("vanilla"), 30, 8, make_generator())
    assert isinstance(cnn, SpectrogramCnn)
    for a, b in zip(cnn.parameters(), make_cnn().parameters(), strict=True):
        assert torch.equal(a, b)


def test_embeddings_are_standardised_each_by_its_own_mean_and_deviation() -> None:
    head = make_head("network.hidden_units=[]", "network.members=1").eval()
    fill_kernels(head, 0.0)
    (kernel, bias) = list_weights(head)[0]
    bias.zero_()
    kernel[0, 0], kernel[1, 1] = 1.0, 1.0
    mean, std = torch.arange(20.0), torch.arange(1.0, 21.0)
    model = WaveformClassifier(nn.Identity(), head, mean, std, temperature=2.0)
    embedding = torch.zeros(1, 20)
    embedding[0, :2] = torch.tensor([3.0, 9.0])
    # Standardised to 3 and 4; halved by the temperature to 1.5 and 2.
    expected = torch.tensor([[1.5, 2.0, 0, 0, 0, 0, 0, 0]]).softmax(1)
    torch.testing.assert_close(model(embedding), expected)


@pytest.mark.parametrize(
    "changes", [("network.hidden_units=[]", "network.members=1"), ("network.hidden_units=[]",), ()]
)
@pytest.mark.parametrize("temperature", [0.01, 1.0, 100.0])
def test_classes_without_a_training_clip_have_probability_0(
    changes: tuple[str, ...], temperature: float
) -> None:
    head = make_head(*changes).eval()
    x = torch.randn(64, 20, generator=make_generator(1))
    seen = [0, 2, 3, 7]
    before = head(x)[:, seen]
    mask_unseen(head, torch.tensor([*seen, 0]), 8)
    torch.testing.assert_close(head(x)[:, seen], before)
    probabilities = torch.softmax(head(x) / temperature, dim=1)
    assert probabilities[:, [1, 4, 5, 6]].abs().max() == 0
    mask_unseen(head, torch.arange(8), 8)
    torch.testing.assert_close(head(x)[:, seen], before)
