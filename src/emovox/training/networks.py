"""Networks: a Keras-like CNN on a spectrogram, a head on an embedding, and the complete model."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from emovox.recipes.recipe import Recipe
from emovox.recipes.settings import (
    FrontendSettings,
    HeadSettings,
    HuggingFaceSettings,
    NetworkSettings,
    RegularizationSettings,
)
from emovox.training.clip_weights import ClipWeights, measure_loss
from emovox.training.frontend import SpectrogramFrontend
from emovox.training.hf_encoder import HuggingFaceFrontend
from emovox.training.speech_encoder import EncoderFrontend

ALL_ALIKE = ClipWeights()
"""Weights of clips that all count alike, over all labels."""

UNSEEN_LOGIT = -1e5
"""Low enough for a probability of 0 at the highest temperature."""


class GeneratorDropout(nn.Module):
    """Dropout that draws from a given generator, so that a run can stop and resume exactly.

    Args:
        rate: Share of values set to zero while training; the rest are scaled up.
        generator: Source of randomness.
    """

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        super().__init__()
        self.rate = rate
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        """Drop values of ``x`` while training; otherwise return it unchanged."""
        if not self.training or self.rate == 0:
            return x
        # Same draws and generator state as Tensor.bernoulli_, in a third of the time.
        drawn = torch.rand(x.shape, dtype=torch.float64, generator=self.generator)
        return (x * (drawn < 1 - self.rate)).div_(1 - self.rate)


class MemberLinear(nn.Module):
    """A dense layer for each ensemble member, ``(..., members, inputs)`` to ``outputs``.

    Args:
        members: Number of ensemble members.
        in_features: Number of inputs of each member.
        out_features: Number of outputs of each member.
    """

    def __init__(self, members: int, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(members, out_features, in_features))
        self.bias = nn.Parameter(torch.empty(members, out_features))

    def forward(self, x: Tensor) -> Tensor:
        """Apply each member's kernel to its inputs."""
        return torch.einsum("...mi,moi->...mo", x, self.weight) + self.bias


class LayeredNetwork(nn.Module):
    """A sequence of layers with optional kernel penalties.

    Kernels start Glorot-uniform and biases at zero, as in Keras.

    Args:
        layers: First to last; the last one is the output.
        generator: Source of the initial weights.
    """

    def __init__(self, layers: Sequence[nn.Module], generator: torch.Generator) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        kernels: list[nn.Conv2d | nn.Linear | MemberLinear] = [
            *self.conv_layers(),
            *self.linear_layers(),
        ]
        for layer in kernels:
            # After the first layer, each member's kernel is initialised as if it were alone.
            for kernel in layer.weight if isinstance(layer, MemberLinear) else [layer.weight]:
                init_glorot_uniform(kernel, generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute class logits ``(batch, classes)`` from standardised inputs ``(batch, ...)``."""
        logits: Tensor = self.layers(inputs)
        return logits

    def compute_loss(
        self,
        inputs: Tensor,
        classes: Tensor,
        label_smoothing: float,
        weights: ClipWeights = ALL_ALIKE,
    ) -> tuple[Tensor, Tensor]:
        """Compute the training loss, without penalties, and the logits.

        Args:
            inputs: ``(batch, ...)``, standardised.
            classes: int64 ``(batch,)``.
            label_smoothing: Share of each target that is spread over all classes.
            weights: How much each clip counts, and over which labels.

        Returns:
            Mean cross-entropy; logits ``(batch, classes)``.
        """
        logits = self(inputs)
        return measure_loss(logits, classes, label_smoothing, weights), logits

    def conv_layers(self) -> list[nn.Conv2d]:
        """Return the convolutions, first to last."""
        return [layer for layer in self.layers.children() if isinstance(layer, nn.Conv2d)]

    def linear_layers(self) -> list[nn.Linear | MemberLinear]:
        """Return the dense layers, first to last; the last one is the output."""
        return [
            layer for layer in self.layers.children() if isinstance(layer, nn.Linear | MemberLinear)
        ]

    def kernel_penalty(self, settings: RegularizationSettings) -> Tensor:
        """Sum the L1 and L2 penalties of the kernels, as Keras defines them.

        Keras adds weight times the sum of squares to the loss, PyTorch's ``weight_decay`` half of
        that. Keras also includes it in the validation loss.
        """
        *dense, output = self.linear_layers()
        kinds: dict[str, Sequence[nn.Module]] = {
            "conv": self.conv_layers(),
            "dense": dense,
            "output": [output],
        }
        penalty = output.weight.new_zeros(())
        for kind, layers in kinds.items():
            l1, l2 = getattr(settings.l1, kind), getattr(settings.l2, kind)
            for layer in layers:
                kernel = layer.get_parameter("weight")
                if l1:
                    penalty = penalty + l1 * kernel.abs().sum()
                if l2:
                    penalty = penalty + l2 * kernel.square().sum()
        return penalty


class SpectrogramCnn(LayeredNetwork):
    """Convolution blocks and dense layers on a spectrogram ``(batch, 1, height, width)``.

    Each block is a valid convolution, max-pooling and ReLU. Pooling before the ReLU gives the same
    values as after it, for a quarter of the work.

    Args:
        recipe: The recipe, whose ``frontend`` image size, ``network`` and ``regularization`` are
            used.
        n_classes: Number of labels.
        generator: Source of the initial weights, then of dropout.
    """

    def __init__(self, recipe: Recipe, n_classes: int, generator: torch.Generator) -> None:
        # Recipe validation guarantees that the kinds match.
        frontend = cast(FrontendSettings, recipe.frontend)
        settings = cast(NetworkSettings, recipe.network)
        height, width = frontend.image_height, frontend.image_width
        layers: list[nn.Module] = []
        channels = 1
        for n in settings.conv_channels:
            layers.append(nn.Conv2d(channels, n, settings.kernel_size))
            layers += [nn.MaxPool2d(settings.pool_size), nn.ReLU()]
            height = (height - settings.kernel_size + 1) // settings.pool_size
            width = (width - settings.kernel_size + 1) // settings.pool_size
            channels = n
        layers.append(nn.Flatten())
        features = channels * height * width
        dropout = recipe.regularization.dropout
        layers += make_dense_layers(features, settings.dense_units, n_classes, dropout, generator)
        super().__init__(layers, generator)
        # Saves a third of the time on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class ReferenceOffset(nn.Module):
    """Takes a speaker's reference off an embedding: the only place that knows how.

    Both are standardised with the mean and deviation of the training clips, so that a reference of
    0 is the average speaker's.

    Args:
        n_classes: Number of labels.
        n_features: Length of an embedding.
    """

    class_offsets: Tensor

    def __init__(self, n_classes: int, n_features: int) -> None:
        super().__init__()
        self.register_buffer("class_offsets", torch.zeros(n_classes, n_features))

    def forward(self, inputs: Tensor, reference: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
        """Convert an embedding and a reference to the inputs of a head.

        Args:
            inputs: Standardised embeddings, ``(batch, features)``.
            reference: Standardised mean embedding of other recordings of the speaker, ``(batch,
                features)`` or ``(1, features)``.
            weight: How much of the reference counts, in [0, 1], ``(batch,)`` or ``(1,)``; 0: none.
            labels: Shares of the reference that are known to be of each label, ``(batch, classes)``
                or ``(1, classes)``. What they add to a speaker's average is not the speaker's.

        Returns:
            ``(batch, features)``.
        """
        return inputs - weight[:, None] * (reference - labels @ self.class_offsets)


class EmbeddingHead(LayeredNetwork):
    """An ensemble of small dense heads on a standardised embedding ``(batch, features)``.

    Members are trained in parallel, each with its own loss, and their logits are averaged. They
    get the same inputs and differ in their initial weights and dropout.

    A recipe with ``training.references`` makes a head that takes a reference, too.

    Args:
        recipe: The recipe, whose ``network`` and ``regularization`` are used.
        n_features: Length of the embedding.
        n_classes: Number of labels.
        generator: Source of the initial weights, then of dropout.
    """

    def __init__(
        self, recipe: Recipe, n_features: int, n_classes: int, generator: torch.Generator
    ) -> None:
        settings = cast(HeadSettings, recipe.network)
        members, dropout = settings.members, recipe.regularization.dropout
        first, *others = [*settings.hidden_units, n_classes]
        layers: list[nn.Module] = [
            GeneratorDropout(settings.input_dropout, generator),
            # One product for all members, since all get the same inputs.
            nn.Linear(n_features, members * first),
            nn.Unflatten(1, (members, first)),
        ]
        for n_inputs, n in pairwise([first, *others]):
            layers += [nn.ReLU(), GeneratorDropout(dropout, generator)]
            layers.append(MemberLinear(members, n_inputs, n))
        super().__init__(layers, generator)
        takes_reference = recipe.training.references > 0
        self.baseline = ReferenceOffset(n_classes, n_features) if takes_reference else None

    def forward(
        self, inputs: Tensor, reference: tuple[Tensor, Tensor, Tensor] | None = None
    ) -> Tensor:
        """Compute class logits ``(batch, classes)``: the mean over the ensemble members.

        Args:
            inputs: Standardised embeddings, ``(batch, features)``.
            reference: Reference, weight and labels, as in ``ReferenceOffset``; ``None``: none.
        """
        if reference is not None:
            inputs = self.take_off(inputs, reference)
        return self.compute_members(inputs).mean(1)

    def take_off(self, inputs: Tensor, reference: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Take a reference off, as in ``ReferenceOffset``; a head without one ignores it."""
        if self.baseline is None:
            return inputs
        without: Tensor = self.baseline(inputs, *reference)
        return without

    def compute_members(self, inputs: Tensor) -> Tensor:
        """Compute each member's logits, ``(batch, members, classes)``, from its inputs."""
        logits: Tensor = self.layers(inputs)
        return logits

    def compute_loss(
        self,
        inputs: Tensor,
        classes: Tensor,
        label_smoothing: float,
        weights: ClipWeights = ALL_ALIKE,
    ) -> tuple[Tensor, Tensor]:
        """Compute the mean of the members' losses, and the mean of their logits."""
        logits = self.compute_members(inputs)  # (batch, members, classes)
        targets = classes[:, None].expand(logits.shape[:2])
        of_members = weights.repeat(logits.shape[1])
        loss = measure_loss(logits.flatten(0, 1), targets.flatten(), label_smoothing, of_members)
        return loss, logits.mean(1)


def make_network(
    recipe: Recipe, n_features: int, n_classes: int, generator: torch.Generator
) -> LayeredNetwork:
    """Make a recipe's network.

    Args:
        recipe: The recipe.
        n_features: Length of the embedding, if the front end computes one.
        n_classes: Number of labels.
        generator: Source of the initial weights, then of dropout.
    """
    if isinstance(recipe.network, HeadSettings):
        return EmbeddingHead(recipe, n_features, n_classes, generator)
    return SpectrogramCnn(recipe, n_classes, generator)


@torch.no_grad()
def mask_unseen(network: LayeredNetwork, classes: Tensor, n_classes: int) -> None:
    """Give the classes without a training clip a probability of 0, in every file of the network.

    Args:
        network: The trained network.
        classes: int64 ``(clips,)``: class of each training clip.
        n_classes: Number of labels.
    """
    unseen = torch.ones(n_classes, dtype=torch.bool)
    unseen[classes] = False
    output = network.linear_layers()[-1]
    weight, bias = output.get_parameter("weight"), output.get_parameter("bias")
    weight.view(-1, n_classes, weight.shape[-1])[:, unseen] = 0  # (members, classes, inputs)
    bias.view(-1, n_classes)[:, unseen] = UNSEEN_LOGIT  # (members, classes)


def make_dense_layers(
    features: int,
    units: Sequence[int],
    n_classes: int,
    dropout: float,
    generator: torch.Generator,
) -> list[nn.Module]:
    """Make dense layers with ReLU and dropout, followed by the output layer."""
    layers: list[nn.Module] = []
    for n in units:
        layers += [nn.Linear(features, n), nn.ReLU(), GeneratorDropout(dropout, generator)]
        features = n
    return [*layers, nn.Linear(features, n_classes)]


def init_glorot_uniform(kernel: Tensor, generator: torch.Generator) -> None:
    """Initialise a kernel as Keras does: uniform in +-sqrt(6 / (fan_in + fan_out))."""
    receptive = math.prod(kernel.shape[2:])
    limit = math.sqrt(6 / (kernel.shape[1] * receptive + kernel.shape[0] * receptive))
    with torch.no_grad():
        kernel.uniform_(-limit, limit, generator=generator)


class WaveformClassifier(nn.Module):
    """The complete model, from waveform to class probabilities.

    Args:
        frontend: Converts a waveform to the network's input: a spectrogram in dB or an embedding.
        network: Converts a standardised spectrogram or embedding to logits.
        mean: Mean of the training inputs: one number for spectrograms, one per embedding feature.
        std: Standard deviation of the training inputs, of the same shape.
        temperature: Divides the logits; above 1 for an overconfident network (Guo et al. 2017, *On
            Calibration of Modern Neural Networks*); 1 leaves them unchanged. A full reference
            multiplies them by 1 + ``sharpening``, which is 0 unless set.
    """

    mean: Tensor
    std: Tensor
    temperature: Tensor
    sharpening: Tensor

    def __init__(
        self,
        frontend: nn.Module,
        network: LayeredNetwork,
        mean: Tensor,
        std: Tensor,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.frontend = frontend
        self.network = network
        self.register_buffer("mean", mean.float())
        self.register_buffer("std", std.float())
        self.register_buffer("temperature", torch.tensor(temperature, dtype=torch.float32))
        # With a reference, a model errs less than without, and may be more confident.
        self.register_buffer("sharpening", torch.zeros(()), persistent=self.takes_reference)

    @property
    def takes_reference(self) -> bool:
        """Whether the model takes a speaker's reference."""
        return isinstance(self.network, EmbeddingHead) and self.network.baseline is not None

    def forward(
        self,
        waveform: Tensor,
        reference: Tensor | None = None,
        reference_weight: Tensor | None = None,
        reference_labels: Tensor | None = None,
    ) -> Tensor:
        """Compute probabilities.

        Args:
            waveform: float32 ``(batch, samples)`` at the recipe's sampling rate.
            reference: Mean embedding of other recordings of the speaker, float32 ``(1,
                features)``; only for models that take one.
            reference_weight: How much of the reference counts, in [0, 1], float32 ``(1,)``.
            reference_labels: Known shares of its labels, float32 ``(1, classes)``.

        Returns:
            float32 ``(batch, classes)``; each row sums to 1.
        """
        inputs = self.standardize(self.frontend(waveform))
        if reference is None or reference_weight is None or reference_labels is None:
            logits = self.network(inputs)
        else:
            given = (self.standardize(reference), reference_weight, reference_labels)
            logits = self.network(inputs, given) * (1 + self.sharpening * reference_weight)
        return torch.softmax(logits / self.temperature, dim=1)

    def standardize(self, inputs: Tensor) -> Tensor:
        """Subtract the mean of the training inputs, and divide by their standard deviation."""
        return (inputs - self.mean) / self.std


def make_frontend(recipe: Recipe) -> nn.Module:
    """Make a recipe's front end as a PyTorch module."""
    if isinstance(recipe.frontend, FrontendSettings):
        return SpectrogramFrontend(recipe.frontend)
    if isinstance(recipe.frontend, HuggingFaceSettings):
        return HuggingFaceFrontend(recipe.frontend)
    return EncoderFrontend(recipe.frontend.model)
