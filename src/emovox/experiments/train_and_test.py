"""An experiment: one recipe under one protocol, from clips to a finished run folder.

    for each fold: images -> training -> calibration -> weights.safetensors -> model.onnx
                   -> predictions.csv
    then:          metrics.json, the scores into each model file, report.html

A fold is finished when its predictions are written; an interrupted run goes on where it stopped.
"""

import json
import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from emovox.audio.load import load_audio
from emovox.corpora.protocols import Fold, Protocol, check_labels
from emovox.corpora.registry import describe_licence
from emovox.evaluation.calibration import Calibration, calibrate
from emovox.experiments.export import N_PARITY_CLIPS
from emovox.experiments.finished import Run, finish_run
from emovox.experiments.predict_clips import predict_clips, predict_fold
from emovox.export.onnx import export_onnx
from emovox.files import write_text
from emovox.progress import Watcher
from emovox.recipes.recipe import Recipe
from emovox.recipes.settings import FrontendSettings, HuggingFaceSettings
from emovox.recognition.model_file import ModelInfo, hash_clip_names
from emovox.runs.folder import (
    CALIBRATION_NAME,
    CHECKPOINT_FOLDER,
    MODEL_NAME,
    PREDICTIONS_NAME,
    REFIT_FOLDER,
    WEIGHTS_NAME,
    find_fold_folder,
    open_run,
)
from emovox.runs.predictions import write_predictions
from emovox.training.features import FeatureCache, make_encoder, name_encoder, name_features
from emovox.training.networks import WaveformClassifier, make_frontend
from emovox.training.trainer import TrainedNetwork, train_network
from emovox.training.weights import save_weights

MODEL_LICENCE = (
    "Weights trained on RAVDESS (CC BY-NC-SA 4.0): for non-commercial use, with attribution to "
    "Livingstone and Russo (2018)"
)


def run_experiment(
    recipe: Recipe,
    protocol: Protocol,
    folder: Path,
    *,
    features: FeatureCache | None = None,
    resume: bool = False,
    keep_models: bool = True,
    watcher: Watcher | None = None,
) -> Run:
    """Train and test a recipe on every fold of a protocol.

    Args:
        recipe: What to train.
        protocol: On which clips to train and test.
        folder: Where to write; made where it is missing.
        features: What other runs computed already, and kept for the next.
        resume: Go on with the run in ``folder``.
        keep_models: Keep weights, model files and the report, not only predictions and scores.
        watcher: Hears of the progress.

    Returns:
        The finished run.

    Raises:
        ProtocolError: A fold trains on fewer than two labels.
        RunError: The folder holds a run and ``resume`` is not set, or another recipe's or split's.
        EncoderError: The recipe's encoder cannot be had or used.
        ExportError: No model file can hold it.
        AudioError: A recording cannot be used.
    """
    check_labels(protocol)
    features = features or FeatureCache()
    watcher = watcher or Watcher()
    if not isinstance(recipe.frontend, FrontendSettings):
        # First of all: an encoder that no model file can hold would else fail behind the training.
        make_encoder(recipe.frontend).read_graph()
    open_run(folder, recipe, protocol, resume=resume)
    for fold in protocol.folds:
        watcher.start_fold(fold.name, len(protocol.folds))
        fold_folder = find_fold_folder(folder, fold, len(protocol.folds))
        run_fold(recipe, fold, protocol.labels, fold_folder, features, watcher)
        if not keep_models:
            for name in ("weights.safetensors", "model.onnx"):
                (fold_folder / name).unlink(missing_ok=True)
    return finish_run(recipe, protocol, folder, keep_models=keep_models)


def run_fold(
    recipe: Recipe,
    fold: Fold,
    labels: tuple[str, ...],
    folder: Path,
    features: FeatureCache,
    watcher: Watcher,
) -> None:
    """Train one fold, write its model file, and predict its test clips, unless that is done."""
    done = folder / (PREDICTIONS_NAME if fold.test else MODEL_NAME)
    if done.exists():
        return
    trained = train_fold(recipe, fold, labels, folder, features, watcher)
    calibration = calibrate_fold(recipe, fold, trained, folder, watcher)
    # Where nothing is tested, the model is meant to be used: all clips shall train.
    settings = recipe.training
    refit = settings.refit or not (fold.test or settings.needs_validation)
    if refit and fold.validation:
        fold = replace(fold, train=(*fold.train, *fold.validation), validation=())
        # More speakers make a better model. A temperature found without them suits it well enough:
        # if anything, it is a little too cautious.
        trained = train_fold(recipe, fold, labels, folder / REFIT_FOLDER, features, watcher)
    save_weights(
        folder / WEIGHTS_NAME,
        trained,
        calibration.temperature,
        encoder=name_encoder(recipe),
    )
    export_fold(recipe, fold, trained, folder / MODEL_NAME, calibration)
    if fold.test:
        watcher.start_clips("test clips", len(fold.test))
        predictions = predict_fold(folder / MODEL_NAME, fold, watcher.end_clip)
        write_predictions(folder / PREDICTIONS_NAME, predictions)
    for finished in (folder, folder / REFIT_FOLDER):
        shutil.rmtree(finished / CHECKPOINT_FOLDER, ignore_errors=True)


def train_fold(
    recipe: Recipe,
    fold: Fold,
    labels: tuple[str, ...],
    folder: Path,
    features: FeatureCache,
    watcher: Watcher,
) -> TrainedNetwork:
    """Compute what the network takes of a fold's clips, and train it."""
    n_unknown = features.count_unknown(fold.train, recipe, augment=True)
    n_unknown += features.count_unknown(fold.validation, recipe)
    watcher.start_clips(name_features(recipe), n_unknown)
    load = partial(features.load, recipe=recipe, labels=labels, on_clip=watcher.end_clip)
    train_set, validation_set = load(fold.train, augment=True), load(fold.validation)
    watcher.start_training(recipe.training.epochs)
    trained = train_network(
        recipe,
        train_set,
        validation_set,
        folder,
        fold=fold.name,
        resume=True,
        on_epoch=watcher.end_epoch,
    )
    watcher.end_training()
    return trained


def calibrate_fold(
    recipe: Recipe, fold: Fold, trained: TrainedNetwork, folder: Path, watcher: Watcher
) -> Calibration:
    """Fit temperature and threshold on a fold's validation clips, as the model file hears them.

    Without validation clips the model stays as trained and answers everything.
    """
    calibration = Calibration()
    if fold.validation:
        path = folder / "uncalibrated.onnx"
        export_fold(recipe, fold, trained, path, calibration)
        watcher.start_clips("validation clips", len(fold.validation))
        calibration = calibrate(predict_clips(path, fold.validation, fold.name, watcher.end_clip))
        path.unlink()
    write_text(folder / CALIBRATION_NAME, json.dumps(calibration.to_dict(), indent=1) + "\n")
    return calibration


def export_fold(
    recipe: Recipe, fold: Fold, trained: TrainedNetwork, path: Path, calibration: Calibration
) -> None:
    """Write a fold's model file, checked against PyTorch on real clips."""
    model = WaveformClassifier(
        make_frontend(recipe),
        trained.network,
        trained.mean,
        trained.std,
        calibration.temperature,
    ).eval()
    corpora = sorted({c.corpus for c in fold.train})
    licence = MODEL_LICENCE if corpora == ["ravdess"] else describe_licence(corpora)
    if isinstance(recipe.frontend, HuggingFaceSettings):
        licence += f". It contains the encoder {recipe.frontend.name}, under a licence of its own"
    info = ModelInfo(
        name=recipe.name,
        labels=trained.labels,
        sample_rate_hz=recipe.frontend.sample_rate_hz,
        temperature=calibration.temperature,
        min_confidence=calibration.min_confidence,
        training_corpora=tuple(corpora),
        training_clips=len(fold.train),
        training_clips_sha256=hash_clip_names([c.name for c in fold.train]),
        scores=(),
        recipe=recipe.to_toml(),
        licence=licence,
    )
    clips = (fold.test or fold.train)[:N_PARITY_CLIPS]
    rate_hz = recipe.frontend.sample_rate_hz
    export_onnx(model, recipe, info, path, [load_audio(c.path, rate_hz).samples for c in clips])


def set_threads(threads: int | None) -> None:
    """Use so many CPU threads for training; ``None``: one per core.

    The bytes of a training depend on it, so that it does not follow from the machine's load.
    """
    torch.set_num_threads(threads or os.cpu_count() or 1)
