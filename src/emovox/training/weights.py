"""A trained network's weights: ``weights.safetensors`` and a recipe rebuild the network."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from emovox.errors import RunError
from emovox.files import replace_file
from emovox.labels import EMOTIONS
from emovox.training.networks import WaveformClassifier, make_frontend, make_network
from emovox.training.recipe import Recipe
from emovox.training.trainer import TrainedNetwork


def save_weights(path: Path, trained: TrainedNetwork, temperature: float = 1.0) -> None:
    """Write the weights, with the mean, standard deviation and temperature that belong to them."""
    tensors = {f"network.{k}": v.contiguous() for k, v in trained.network.state_dict().items()}
    tensors["mean"] = trained.mean.contiguous()
    tensors["std"] = trained.std.contiguous()
    tensors["temperature"] = torch.tensor(temperature)
    with replace_file(path) as part:
        save_file(tensors, part, metadata={"best_epoch": str(trained.best_epoch)})


def load_network(folder: Path, recipe: Recipe) -> WaveformClassifier:
    """Rebuild a fold's network from ``weights.safetensors``.

    Args:
        folder: The fold's folder.
        recipe: The run's recipe.

    Returns:
        The network in evaluation mode.

    Raises:
        RunError: The weights are missing or do not fit the recipe.
    """
    path = folder / "weights.safetensors"
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        mean, std = tensors["mean"], tensors["std"]
        network = make_network(recipe, mean.numel(), len(EMOTIONS), torch.Generator())
        model = WaveformClassifier(make_frontend(recipe), network, mean, std)
        model.load_state_dict(tensors)
    except (OSError, RuntimeError, KeyError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path}: cannot rebuild the network ({reason}); train it again") from None
    return model.eval()
