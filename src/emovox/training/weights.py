"""Save and load trained weights: ``weights.safetensors`` plus a recipe restores a network."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from emovox.errors import RunError
from emovox.files import replace_file
from emovox.labels import EMOTIONS
from emovox.recipes.recipe import Recipe
from emovox.runs.folder import WEIGHTS_NAME
from emovox.training.features import name_encoder
from emovox.training.networks import WaveformClassifier, make_frontend, make_network
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
    tensors = {f"network.{k}": v.contiguous() for k, v in trained.network.state_dict().items()}
    tensors["mean"] = trained.mean.contiguous()
    tensors["std"] = trained.std.contiguous()
    tensors["temperature"] = torch.tensor(temperature)
    # A single entry, because safetensors writes several in an order that varies between runs.
    about: dict[str, Any] = {"best_epoch": trained.best_epoch, "encoder": encoder}
    # Without an entry, the labels are those of RAVDESS.
    about |= {} if trained.labels == EMOTIONS else {"labels": trained.labels}
    metadata = {"training": json.dumps(about)}
    with replace_file(path) as part:
        save_file(tensors, part, metadata=metadata)


def load_network(folder: Path, recipe: Recipe) -> WaveformClassifier:
    """Rebuild a fold's network from ``weights.safetensors``.

    Args:
        folder: The fold's folder.
        recipe: The run's recipe.

    Returns:
        The network in evaluation mode.

    Raises:
        RunError: The weights are missing, do not fit the recipe, or belong to a different encoder.
    """
    path = folder / WEIGHTS_NAME
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            about = json.loads((file.metadata() or {}).get("training", "{}"))
        mean, std = tensors["mean"], tensors["std"]
        n_classes = len(about.get("labels", EMOTIONS))
        network = make_network(recipe, mean.numel(), n_classes, torch.Generator())
        model = WaveformClassifier(make_frontend(recipe), network, mean, std)
        model.load_state_dict(tensors)
    except (OSError, RuntimeError, KeyError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path}: cannot rebuild the network ({reason}); train it again") from None
    # A branch on the hub or a folder's content may have changed; a head only fits its encoder.
    encoder, trained_on = name_encoder(recipe), about.get("encoder", "")
    if trained_on and encoder != trained_on:
        raise RunError(
            f"{path}: trained on the encoder {trained_on}, found {encoder}; restore its files, "
            "name the revision, or train it again"
        )
    return model.eval()
