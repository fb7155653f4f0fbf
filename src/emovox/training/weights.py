"""A trained network's weights: ``weights.safetensors`` and a recipe rebuild the network."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from emovox.errors import RunError
from emovox.files import replace_file
from emovox.labels import EMOTIONS
from emovox.training.frontend import SpectrogramFrontend
from emovox.training.networks import SpectrogramCnn, WaveformClassifier
from emovox.training.recipe import Recipe
from emovox.training.trainer import TrainedNetwork


def save_weights(path: Path, trained: TrainedNetwork, temperature: float = 1.0) -> None:
    """Write the weights, with the mean, standard deviation and temperature that belong to them."""
    tensors = {f"cnn.{k}": v.contiguous() for k, v in trained.cnn.state_dict().items()}
    tensors["mean_db"] = torch.tensor(trained.mean_db)
    tensors["std_db"] = torch.tensor(trained.std_db)
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
        cnn = SpectrogramCnn(recipe, len(EMOTIONS), torch.Generator())
        model = WaveformClassifier(SpectrogramFrontend(recipe.frontend), cnn, 0.0, 1.0)
        model.load_state_dict(tensors)
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path}: cannot rebuild the network ({reason}); train it again") from None
    return model.eval()
