"""Finished runs: score them again, compare two, export their models."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from emovox.audio import load_audio
from emovox.corpora.cross import list_corpora, restore_labels
from emovox.corpora.protocols import Fold, Protocol, check_folds, read_folds
from emovox.errors import ExportError, ProtocolError, RunError
from emovox.evaluation.compare import Comparison, compare_predictions
from emovox.evaluation.evaluate import BOOTSTRAP_SEED, Evaluation, predict_fold
from emovox.evaluation.predictions import read_predictions, write_predictions
from emovox.evaluation.run_files import RunScores, read_scores
from emovox.evaluation.summary import choose_resampling
from emovox.experiment import (
    N_PARITY_CLIPS,
    Watcher,
    find_fold_folder,
    finish_run,
    load_clips,
)
from emovox.export.onnx import export_onnx
from emovox.labels import EMOTIONS
from emovox.model_file import open_model
from emovox.training.features import ImageCache
from emovox.training.networks import SpectrogramCnn
from emovox.training.recipe import Recipe, change_settings, load_recipe
from emovox.training.settings import FrontendSettings
from emovox.training.weights import load_network


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run folder that holds all it should.

    Attributes:
        folder: Where it lies.
        recipe: What it was trained by.
        scores: What its ``metrics.json`` says.
    """

    folder: Path
    recipe: Recipe
    scores: RunScores

    @property
    def label(self) -> str:
        """Protocol and version, with the words that every score must carry."""
        protocol = self.scores.protocol
        kind = "speaker-independent" if protocol.speaker_independent else "speaker-dependent"
        return f"{protocol.name} v{protocol.version}, {kind}"


def open_finished_run(folder: Path) -> FinishedRun:
    """Open a run folder.

    Raises:
        RunError: It is no run folder, or its run is not finished.
    """
    return FinishedRun(folder, open_recipe(folder), read_scores(folder / "metrics.json"))


def open_recipe(folder: Path) -> Recipe:
    """Read the recipe of a run folder.

    Raises:
        RunError: It is no run folder.
    """
    if not (folder / "recipe.toml").is_file():
        raise RunError(f"{folder} is no run folder (no recipe.toml in it); expected runs/NAME")
    return load_recipe(folder / "recipe.toml")


def open_seeds(folders: Sequence[Path]) -> list[FinishedRun]:
    """Open runs of one recipe and protocol, each from another seed.

    Args:
        folders: Run folders, at least one.

    Returns:
        The runs, in this order.

    Raises:
        RunError: One is no finished run, or they differ in more than the seed, or not in that.

    Example:
        >>> [run.recipe.seed for run in open_seeds([first, second])]  # doctest: +SKIP
        [0, 1]
    """
    runs = [open_finished_run(folder) for folder in folders]
    expected = "expected runs of one recipe and protocol that differ in their seed alone"
    first = runs[0]
    for run in runs[1:]:
        differs = [
            what
            for what, same in (
                ("recipe", trains_alike(run.recipe, first.recipe)),
                ("protocol", run.label == first.label),
                ("split", read_split_text(run) == read_split_text(first)),
            )
            if not same
        ]
        if differs:
            raise RunError(
                f"{run.folder} has another {' and '.join(differs)} than {first.folder}; {expected}:"
                " take each by itself"
            )
    seeds = [run.recipe.seed for run in runs]
    if len(set(seeds)) < len(seeds):
        raise RunError(
            f"found the seeds {', '.join(map(str, seeds))} in {', '.join(map(str, folders))}; "
            f"{expected}: name each run once, or train another with --set seed=N"
        )
    return runs


def trains_alike(first: Recipe, second: Recipe) -> bool:
    """Return whether two recipes are the same but for the seed."""
    return change_settings(first, {"seed": second.seed}) == change_settings(second, {})


def read_split_text(run: FinishedRun) -> str:
    """Return a run's ``split.csv``."""
    return (run.folder / "split.csv").read_text(encoding="utf-8")


def load_run_protocol(run: FinishedRun, data: Path | None) -> Protocol:
    """Rebuild the folds that a run was trained on, from its ``split.csv``.

    Raises:
        CorpusError: The corpus is not here.
        ProtocolError: It lacks a clip of the split.
    """
    entry = run.scores.protocol
    protocol = Protocol(
        name=entry.name,
        version=entry.version,
        description=entry.description,
        speaker_independent=entry.speaker_independent,
        folds=read_run_folds(run.folder, run.recipe, data),
    )
    check_folds(protocol)
    return restore_labels(protocol)


def read_run_folds(folder: Path, recipe: Recipe, data: Path | None) -> tuple[Fold, ...]:
    """Read a run's folds from its ``split.csv``, out of the corpora that its recipe names."""
    corpora = list_corpora(recipe.data.protocol, recipe.data.corpora)
    return read_folds(folder / "split.csv", load_clips(data, corpora))


def evaluate_run(folder: Path, data: Path | None, watcher: Watcher | None = None) -> Evaluation:
    """Predict a run's test clips again with its model files, and score and report anew.

    Args:
        folder: The run folder.
        data: Where the corpus lies; ``None``: the usual places.
        watcher: Hears of the progress.

    Returns:
        The scores.

    Raises:
        RunError: The run is not finished.
        ModelFileError: A model file is missing or damaged.
    """
    watcher = watcher or Watcher()
    run = open_finished_run(folder)
    protocol = load_run_protocol(run, data)
    for fold in protocol.folds:
        watcher.start_fold(fold, len(protocol.folds))
        watcher.start_clips("test clips", len(fold.test))
        fold_folder = find_fold_folder(folder, fold, len(protocol.folds))
        predictions = predict_fold(fold_folder / "model.onnx", fold, watcher.end_clip)
        write_predictions(fold_folder / "predictions.csv", predictions)
    finished = finish_run(run.recipe, protocol, folder, keep_models=True)
    if finished.evaluation is None:
        raise RunError(f"{folder}: the run has no test clips; train it under another protocol")
    return finished.evaluation


def compare_runs(first: Path, second: Path) -> tuple[Comparison, str]:
    """Compare two runs on the same test clips.

    Args:
        first: A run folder.
        second: Another, of the same protocol and version.

    Returns:
        The comparison, and the protocol's label.

    Raises:
        RunError: A run is not finished.
        ProtocolError: Their protocols or test clips differ.
    """
    a, b = open_finished_run(first), open_finished_run(second)
    if a.label != b.label:
        raise ProtocolError(
            f"{first} was tested by {a.label}, {second} by {b.label}; scores are only compared "
            "within one protocol: train one of them again with --protocol"
        )
    predictions_a, predictions_b = (
        read_predictions(run.folder / "predictions.csv") for run in (a, b)
    )
    independent = a.scores.protocol.speaker_independent
    resample_by = choose_resampling(predictions_a, speaker_independent=independent)
    names = (a.recipe.name, b.recipe.name)
    if names[0] == names[1]:
        names = (str(first), str(second))
    comparison = compare_predictions(
        predictions_a,
        predictions_b,
        resample_by,
        np.random.default_rng(BOOTSTRAP_SEED),
        names=names,
        test_to_train=measure_test_to_train(a) if resample_by == "splits" else None,
    )
    return comparison, a.label


def measure_test_to_train(run: FinishedRun) -> float:
    """Return test clips per training clip, by which overlapping splits are corrected."""
    text = read_split_text(run)
    return text.count(",test\n") / text.count(",train\n")


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
        images = ImageCache().load(clips, recipe.frontend).standardize(model.mean, model.std)
        return list(
            export_keras(
                network,
                recipe,
                EMOTIONS,
                target,
                name=recipe.name,
                images=images.images,
            )
        )
    info = open_model(source / "model.onnx").info
    rate_hz = recipe.frontend.sample_rate_hz
    waveforms = [load_audio(c.path, rate_hz).samples for c in clips]
    export_onnx(model, recipe, info, target / "model.onnx", waveforms)
    return [target / "model.onnx"]
