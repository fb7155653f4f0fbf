"""Save and load trained weights: ``weights.safetensors`` plus a recipe restores a network."""

from pathlib import Path
from typing import Any

import torch

from emovox.errors import RunError
from emovox.labels import EMOTIONS
from emovox.recipes.recipe import Recipe
from emovox.runs.folder import WEIGHTS_NAME
from emovox.training.features import name_encoder
from emovox.training.networks import (
    EmbeddingHead,
    WaveformClassifier,
    make_frontend,
    make_network,
)
from emovox.training.tensor_file import load_tensors, save_tensors
from emovox.training.trainer import TrainedNetwork


def save_weights(
    path: Path, trained: TrainedNetwork, temperature: float = 1.0, *, encoder: str = ""
) -> None:
    """Write a network's weights with its mean, standard deviation and temperature.

    Args:
        path: The file to write.
        trained: The trained network.
        temperature: Calibration temperature, which divides the logits.
        encoder: Name of the encoder that the network was trained on, if any.
    """
    tensors = {f"network.{k}": v for k, v in trained.network.state_dict().items()}
    tensors["mean"] = trained.mean
    tensors["std"] = trained.std
    tensors["temperature"] = torch.tensor(temperature)
    if isinstance(trained.network, EmbeddingHead) and trained.network.baseline is not None:
        tensors["sharpening"] = torch.zeros(())
    about: dict[str, Any] = {"best_epoch": trained.best_epoch, "encoder": encoder}
    # Without an entry, the labels are those of RAVDESS.
    about |= {} if trained.labels == EMOTIONS else {"labels": trained.labels}
    save_tensors(path, tensors, about)


def load_network(folder: Path, recipe: Recipe) -> WaveformClassifier:
    """Rebuild a fold's network from ``weights.safetensors``.

    Args:
        folder: The fold's folder.
        recipe: The run's recipe.

    Returns:
        The network in evaluation mode.

    Raises:
        RunError: The weights are missing or damaged, do not fit the recipe, or belong to a
            different encoder.
    """
    path = folder / WEIGHTS_NAME
    try:
        tensors, about = load_tensors(path)
        mean, std = tensors["mean"], tensors["std"]
        n_classes = len(about.get("labels", EMOTIONS))
        network = make_network(recipe, mean.numel(), n_classes, torch.Generator())
        model = WaveformClassifier(make_frontend(recipe), network, mean, std)
        model.load_state_dict(tensors)
    except RunError as error:
        raise RunError(f"{error}; train it again") from None
    except (RuntimeError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise RunError(f"{path}: cannot rebuild the network ({reason}); train it again") from None
    # A branch on the hub or a folder's content may have changed; a head only fits its encoder.
    encoder, trained_on = name_encoder(recipe), about.get("encoder", "")
    if trained_on and encoder != trained_on:
        raise RunError(
            f"{path}: trained on the encoder {trained_on}, found {encoder}; restore its files, "
            "name the revision, or train it again"
        )
    return model.eval()
