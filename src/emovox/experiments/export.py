"""Export a fold's model from its weights to ONNX or Keras."""

from pathlib import Path

import torch

from emovox.audio.load import load_audio
from emovox.errors import ExportError, RunError
from emovox.export.onnx import export_onnx
from emovox.recipes.settings import FrontendSettings
from emovox.recognition.description import DESCRIPTION_NAME, write_description
from emovox.recognition.model_file import open_model
from emovox.runs.folder import MODEL_NAME, find_fold_folder, open_fold_recipe, open_recipe
from emovox.runs.protocol import read_run_folds
from emovox.training.features import ImageCache
from emovox.training.networks import SpectrogramCnn
from emovox.training.weights import load_network

N_PARITY_CLIPS = 4
"""Number of clips on which an exported model must agree with PyTorch."""


def export_run(
    folder: Path,
    output: str,
    *,
    fold: str | None = None,
    out: Path | None = None,
    data: Path | None = None,
) -> list[Path]:
    """Export a fold's model from its weights.

    Args:
        folder: The run folder.
        output: ``"keras"`` or ``"onnx"``.
        fold: Name of the fold; ``None`` for the first.
        out: Output folder; ``None`` for the fold's folder.
        data: Folder of the corpora; clips of the run's corpus are used to check parity.

    Returns:
        The files written.

    Raises:
        RunError: The fold does not exist, or its weights are missing.
        ExportError: The exported model's predictions differ from PyTorch's.
    """
    recipe = open_recipe(folder)
    folds = read_run_folds(folder, recipe, data)
    names = [f.name for f in folds]
    if fold is not None and fold not in names:
        raise RunError(f"{folder} has no fold {fold!r}; known: {', '.join(names)}")
    chosen = folds[names.index(fold) if fold else 0]
    source = find_fold_folder(folder, chosen, len(folds))
    target = out or source
    recipe = open_fold_recipe(source, recipe)
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
            # Keras cannot store the temperature separately, so it is folded into the output layer.
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
    write_description(target / DESCRIPTION_NAME, open_model(target / MODEL_NAME))
    return [target / MODEL_NAME, target / DESCRIPTION_NAME]
