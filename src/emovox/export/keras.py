"""Export a trained CNN as plain Keras files, which open in Keras and TensorFlow without emovox."""

import importlib
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emovox.corpora.locate import find_cache
from emovox.errors import ExportError
from emovox.files import replace_file
from emovox.recipes.recipe import Recipe
from emovox.recipes.settings import (
    FrontendSettings,
    NetworkSettings,
    RegularizationSettings,
    TrainingSettings,
)
from emovox.training.networks import SpectrogramCnn

MAX_DIFFERENCE = 1e-4
"""Largest accepted difference of probabilities between the PyTorch network and its Keras file."""


def export_keras(
    cnn: SpectrogramCnn,
    recipe: Recipe,
    labels: Sequence[str],
    folder: Path,
    *,
    name: str,
    images: Tensor,
) -> tuple[Path, Path]:
    """Write a trained CNN as ``NAME_model.keras`` and ``NAME_model.h5``.

    Both files are loaded and must reproduce the network's probabilities before they are renamed to
    their final names. ``keras.models.load_model`` opens them without custom objects, compiled with
    the recipe's optimiser, penalties and sparse cross-entropy; ``evaluate`` expects class indices
    in the order of ``labels``.

    Their input is float32 ``(batch, image_height, image_width, 1)``: the front end's dB
    spectrogram, low frequencies first, standardised as ``(image - mean_db) / std_db`` with
    ``mean_db`` and ``std_db`` from the run's ``weights.safetensors``. Their output is float32
    ``(batch, classes)`` probabilities.

    Args:
        cnn: The trained network.
        recipe: The recipe that it was trained with.
        labels: Its class names, in the order of its outputs.
        folder: Output folder, created if missing.
        name: Prefix of both file names, such as ``"vanilla"``.
        images: Standardised spectrograms to compare probabilities on, float32
            ``(n, 1, image_height, image_width)``, preferably of real clips.

    Returns:
        The paths of the ``.keras`` and the ``.h5`` file.

    Raises:
        ExportError: Keras is not installed, the network, recipe and labels do not match, or a
            file's probabilities differ by more than 1e-4. Nothing is written then.
    """
    n_classes = len(cnn.linear_layers()[-1].bias)
    if len(labels) != n_classes:
        raise ExportError(
            f"{name}: {len(labels)} labels for a network with {n_classes} outputs; "
            "give the labels that it was trained with"
        )
    if not len(images):
        raise ExportError(f"{name}: no images to check the Keras files with; give at least one")
    keras = import_keras()
    expected = predict_probabilities(cnn, images)
    inputs = images.detach().cpu().permute(0, 2, 3, 1).numpy()  # (n, height, width, 1)
    keras_path, h5_path = folder / f"{name}_model.keras", folder / f"{name}_model.h5"
    # On the CPU: a GPU's reduced precision would affect the comparison, but not the files.
    with keras.device("cpu"), quiet_keras():
        model = build_model(keras, recipe, n_classes)
        copy_weights(cnn, model)
        with replace_file(keras_path) as keras_part, replace_file(h5_path) as h5_part:
            for part, path in ((keras_part, keras_path), (h5_part, h5_path)):
                model.save(part)
                check_parity(keras.models.load_model(part), path, inputs, expected)
    return keras_path, h5_path


def import_keras() -> Any:
    """Import Keras with its torch backend, unless the user chose another or already imported it."""
    # Keras reads both once, at its first import. Its default backend is TensorFlow, and it writes a
    # file of settings into its folder, by default ~/.keras.
    chosen = {name: os.environ.get(name) for name in ("KERAS_BACKEND", "KERAS_HOME")}
    os.environ["KERAS_BACKEND"] = chosen["KERAS_BACKEND"] or "torch"
    os.environ["KERAS_HOME"] = chosen["KERAS_HOME"] or str(find_cache() / "keras")
    try:
        importlib.import_module("h5py")
        return importlib.import_module("keras")
    except ModuleNotFoundError as error:
        if error.name in ("keras", "h5py"):
            raise ExportError(
                f"Keras files need the package {error.name!r}, which is not installed; "
                "run: pip install 'emovox[keras]'"
            ) from None
        package = (error.name or "").partition(".")[0]
        raise ExportError(
            f"Keras' backend {os.environ['KERAS_BACKEND']!r} needs the package {package!r}, "
            "which is not installed; unset KERAS_BACKEND to use PyTorch"
        ) from None
    finally:
        for name, value in chosen.items():
            if value is None:
                del os.environ[name]


def build_model(keras: Any, recipe: Recipe, n_classes: int) -> Any:
    """Build and compile the recipe's network in Keras, with initial weights."""
    layers, penalties = keras.layers, recipe.regularization
    frontend = cast(FrontendSettings, recipe.frontend)
    settings = cast(NetworkSettings, recipe.network)
    shape = (frontend.image_height, frontend.image_width, 1)
    # The model name is fixed because TensorFlow refuses some characters allowed in recipe names.
    model = keras.Sequential([keras.Input(shape, name="image")], name="spectrogram_cnn")
    for i, channels in enumerate(settings.conv_channels, 1):
        model.add(
            layers.Conv2D(
                channels,
                settings.kernel_size,
                activation="relu",
                data_format="channels_last",
                kernel_regularizer=make_regularizer(keras, penalties, "conv"),
                name=f"conv_{i}",
            )
        )
        pool = layers.MaxPooling2D(
            settings.pool_size, data_format="channels_last", name=f"pool_{i}"
        )
        model.add(pool)
    model.add(layers.Flatten(data_format="channels_last", name="flatten"))
    for i, units in enumerate(settings.dense_units, 1):
        penalty = make_regularizer(keras, penalties, "dense")
        model.add(
            layers.Dense(units, activation="relu", kernel_regularizer=penalty, name=f"dense_{i}")
        )
        if penalties.dropout:
            model.add(layers.Dropout(penalties.dropout, name=f"dropout_{i}"))
    penalty = make_regularizer(keras, penalties, "output")
    model.add(
        layers.Dense(
            n_classes, activation="softmax", kernel_regularizer=penalty, name="probabilities"
        )
    )
    optimizer = make_optimizer(keras, recipe.training)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    # An unbuilt optimiser's state would be missing in the files, and Keras would warn on loading.
    optimizer.build(model.trainable_variables)
    # Keras on PyTorch would write its own subclass' module, which TensorFlow cannot find.
    config = model.get_compile_config()
    config["optimizer"] |= {"module": "keras.optimizers", "registered_name": None}
    model.get_compile_config = lambda: config
    return model


def make_regularizer(keras: Any, settings: RegularizationSettings, kind: str) -> Any:
    """Make the Keras penalty of one kind of layer, or None if the recipe has none."""
    l1, l2 = getattr(settings.l1, kind), getattr(settings.l2, kind)
    return keras.regularizers.L1L2(l1, l2) if l1 or l2 else None


def make_optimizer(keras: Any, settings: TrainingSettings) -> Any:
    """Make the recipe's Keras optimiser, with Keras' defaults for other settings."""
    # Named explicitly, because Keras numbers default names within a process.
    shared = {"learning_rate": settings.learning_rate, "name": settings.optimizer}
    match settings.optimizer:
        case "sgd":
            return keras.optimizers.SGD(momentum=settings.momentum, **shared)
        case "rmsprop":
            return keras.optimizers.RMSprop(**shared)
        case "adam":
            return keras.optimizers.Adam(**shared)
        case "adamw":
            return keras.optimizers.AdamW(weight_decay=settings.weight_decay, **shared)


def copy_weights(cnn: SpectrogramCnn, model: Any) -> None:
    """Copy the PyTorch network's weights into the Keras model."""
    convolutions = cnn.conv_layers()
    channels = convolutions[-1].out_channels if convolutions else 1
    weights = []
    for conv in convolutions:
        kernel = conv.weight.permute(2, 3, 1, 0)  # (out, in, y, x) -> (y, x, in, out)
        weights += [kernel, conv.bias]
    for i, linear in enumerate(cnn.linear_layers()):
        kernel = linear.weight
        if i == 0:
            # PyTorch flattens (channel, y, x), Keras (y, x, channel).
            kernel = kernel.reshape(len(kernel), channels, -1)  # (out, channel, y * x)
            kernel = kernel.transpose(1, 2).flatten(1)  # (out, y * x * channel)
        weights += [kernel.T, linear.bias]
    arrays = [weight.detach().cpu().numpy() for weight in weights if weight is not None]
    found = [array.shape for array in arrays]
    expected = [tuple(variable.shape) for variable in model.weights]
    if found != expected:
        raise ExportError(
            f"the network's weights have shapes {found}, its recipe's {expected}; "
            "give the recipe that the network was made from"
        )
    model.set_weights(arrays)


def predict_probabilities(cnn: nn.Module, images: Tensor) -> NDArray[np.float32]:
    """Compute the PyTorch network's probabilities ``(n, classes)`` without dropout."""
    was_training = cnn.training
    device = next(cnn.parameters()).device
    cnn.eval()
    try:
        with torch.inference_mode():
            probabilities = torch.softmax(cnn(images.to(device)), dim=1)
    finally:
        cnn.train(was_training)
    array: NDArray[np.float32] = probabilities.cpu().numpy()
    return array


def check_parity(
    model: Any, path: Path, inputs: NDArray[np.float32], expected: NDArray[np.float32]
) -> None:
    """Refuse a loaded Keras model whose probabilities differ from the PyTorch network's."""
    difference = float(np.abs(model.predict(inputs, verbose=0) - expected).max())
    if not difference <= MAX_DIFFERENCE:  # NaN must fail too
        raise ExportError(
            f"{path.name}: probabilities differ by {difference:.2g} from the PyTorch network's; "
            f"expected at most {MAX_DIFFERENCE:g}. Nothing was written"
        )


@contextmanager
def quiet_keras() -> Iterator[None]:
    """Suppress Keras' warning about ``.h5``, which was requested."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
