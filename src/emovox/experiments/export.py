"""Write a fold's model anew from its weights, as ONNX or for Keras."""

from pathlib import Path

import torch

from emovox.audio.load import load_audio
from emovox.errors import ExportError, RunError
from emovox.export.onnx import export_onnx
from emovox.recipes.settings import FrontendSettings
from emovox.recognition.model_file import open_model
from emovox.runs.folder import MODEL_NAME, find_fold_folder, open_recipe
from emovox.runs.protocol import read_run_folds
from emovox.training.features import ImageCache
from emovox.training.networks import SpectrogramCnn
from emovox.training.weights import load_network

N_PARITY_CLIPS = 4
"""Clips on which an exported model has to agree with PyTorch."""


def export_run(
    folder: Path,
    output: str,
    *,
    fold: str | None = None,
    out: Path | None = None,
    data: Path | None = None,
) -> list[Path]:
    """Write a fold's model anew from its weights.

    Args:
        folder: The run folder.
        output: ``"keras"`` or ``"onnx"``.
        fold: Name of the fold; ``None``: the first.
        out: Where to write; ``None``: the fold's folder.
        data: Where the corpus lies, whose clips the parity is checked on.

    Returns:
        The files written.

    Raises:
        RunError: No such fold, or its weights are gone.
        ExportError: The exported model's answers differ from PyTorch's.
    """
    recipe = open_recipe(folder)
    folds = read_run_folds(folder, recipe, data)
    names = [f.name for f in folds]
    if fold is not None and fold not in names:
        raise RunError(f"{folder} has no fold {fold!r}; known: {', '.join(names)}")
    chosen = folds[names.index(fold) if fold else 0]
    source = find_fold_folder(folder, chosen, len(folds))
    target = out or source
    model = load_network(source, recipe)
    info = open_model(source / MODEL_NAME).info
    clips = (chosen.test or chosen.train)[:N_PARITY_CLIPS]
    if output == "keras":
        from emovox.export.keras import export_keras

        network = model.network
        if not (
            isinstance(recipe.frontend, FrontendSettings) and isinstance(network, SpectrogramCnn)
        ):
            raise ExportError(
                f"{folder}: recipe {recipe.name} has front end {recipe.frontend.kind!r}; Keras "
                "files are made of image recipes, such as vanilla: export it as onnx"
            )
        with torch.no_grad():
            # Keras has no place for the temperature: its output layer takes it.
            for tensor in network.linear_layers()[-1].parameters():
                tensor.div_(model.temperature)
        images = ImageCache().load(clips, recipe.frontend, labels=info.labels)
        return list(
            export_keras(
                network,
                recipe,
                info.labels,
                target,
                name=recipe.name,
                images=images.standardize(model.mean, model.std).images,
            )
        )
    rate_hz = recipe.frontend.sample_rate_hz
    waveforms = [load_audio(c.path, rate_hz).samples for c in clips]
    export_onnx(model, recipe, info, target / MODEL_NAME, waveforms)
    return [target / MODEL_NAME]
