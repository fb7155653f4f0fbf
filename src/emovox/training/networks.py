"""The networks: a Keras-like CNN on the front end's image, and both together from the waveform."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emovox.training.frontend import SpectrogramFrontend
from emovox.training.recipe import Recipe, RegularizationSettings


class GeneratorDropout(nn.Module):
    """Dropout that draws from a given generator, so that a run can stop and resume exactly.

    Args:
        rate: Share of values set to zero while training; the rest are scaled up.
        generator: Where the draws come from.
    """

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        super().__init__()
        self.rate = rate
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        """Drop values of ``x`` while training; return it as it is otherwise."""
        if not self.training or self.rate == 0:
            return x
        keep = torch.empty_like(x).bernoulli_(1 - self.rate, generator=self.generator)
        return x * keep / (1 - self.rate)


class SpectrogramCnn(nn.Module):
    """Convolution blocks and dense layers on a standardised image.

    Each block is a valid convolution, max-pooling and ReLU. Pooling before the ReLU gives the same
    values as after it, for a quarter of the work. Kernels start Glorot-uniform and biases at zero,
    as in Keras.

    Args:
        recipe: Its ``frontend`` image size, ``network`` and ``regularization`` are used.
        n_classes: Number of emotions.
        generator: Draws the first weights, then the dropout.
    """

    def __init__(self, recipe: Recipe, n_classes: int, generator: torch.Generator) -> None:
        super().__init__()
        settings = recipe.network
        height, width = recipe.frontend.image_height, recipe.frontend.image_width
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
        for n in settings.dense_units:
            dropout = GeneratorDropout(recipe.regularization.dropout, generator)
            layers += [nn.Linear(features, n), nn.ReLU(), dropout]
            features = n
        layers.append(nn.Linear(features, n_classes))
        self.layers = nn.Sequential(*layers)
        kernels: list[nn.Conv2d | nn.Linear] = [*self.conv_layers(), *self.linear_layers()]
        for layer in kernels:
            init_glorot_uniform(layer.weight, generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Compute class logits ``(batch, classes)`` of images ``(batch, 1, height, width)``."""
        logits: Tensor = self.layers(image)
        return logits

    def conv_layers(self) -> list[nn.Conv2d]:
        """Return the convolutions, first to last."""
        return [layer for layer in self.layers.children() if isinstance(layer, nn.Conv2d)]

    def linear_layers(self) -> list[nn.Linear]:
        """Return the dense layers, first to last; the last one is the output."""
        return [layer for layer in self.layers.children() if isinstance(layer, nn.Linear)]

    def kernel_penalty(self, settings: RegularizationSettings) -> Tensor:
        """Sum the L1 and L2 penalties of the kernels, as Keras defines them.

        Keras adds weight times the sum of squares to the loss, where PyTorch's ``weight_decay``
        stands for half of that; Keras also counts it in the validation loss.
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


def init_glorot_uniform(kernel: Tensor, generator: torch.Generator) -> None:
    """Fill a kernel as Keras does: uniform in +-sqrt(6 / (fan_in + fan_out))."""
    receptive = math.prod(kernel.shape[2:])
    limit = math.sqrt(6 / (kernel.shape[1] * receptive + kernel.shape[0] * receptive))
    with torch.no_grad():
        kernel.uniform_(-limit, limit, generator=generator)


class WaveformClassifier(nn.Module):
    """The whole model: waveform in, class probabilities out.

    Args:
        frontend: Waveform to image in dB.
        cnn: Standardised image to logits.
        mean_db: Mean of the training clips' images.
        std_db: Their standard deviation.
        temperature: Divides the logits, over 1 for a network that is too sure of itself (Guo et al.
            2017, *On Calibration of Modern Neural Networks*); 1 leaves them as trained.
    """

    mean_db: Tensor
    std_db: Tensor
    temperature: Tensor

    def __init__(
        self,
        frontend: SpectrogramFrontend,
        cnn: SpectrogramCnn,
        mean_db: float,
        std_db: float,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.frontend = frontend
        self.cnn = cnn
        self.register_buffer("mean_db", torch.tensor(mean_db, dtype=torch.float32))
        self.register_buffer("std_db", torch.tensor(std_db, dtype=torch.float32))
        self.register_buffer("temperature", torch.tensor(temperature, dtype=torch.float32))

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute probabilities.

        Args:
            waveform: float32 ``(batch, samples)`` at the recipe's sampling rate.

        Returns:
            float32 ``(batch, classes)``; each row sums to 1.
        """
        image = (self.frontend(waveform) - self.mean_db) / self.std_db
        return torch.softmax(self.cnn(image) / self.temperature, dim=1)
