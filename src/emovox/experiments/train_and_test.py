"""An experiment: one recipe under one protocol, from clips to a finished run folder.

    for each fold: images -> training -> calibration -> weights.safetensors, model.onnx
                   -> predictions.csv
    then:          metrics.json, the scores into each model file, report.html

A fold is finished when its predictions are written. An interrupted run continues with the first
unfinished fold.
"""

import json
import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from emovox.audio.load import load_audio
from emovox.corpora.folds import Fold, Protocol, check_labels
from emovox.corpora.registry import describe_licence
from emovox.evaluation.calibration import Calibration, calibrate
from emovox.experiments.export import N_PARITY_CLIPS
from emovox.experiments.finished import Run, finish_run
from emovox.experiments.predict_clips import predict_clips, predict_fold
from emovox.export.onnx import build_onnx, check_parity
from emovox.files import replace_file, write_text
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
        recipe: Recipe to train.
        protocol: Folds with training, validation and test clips.
        folder: Run folder; created if missing.
        features: Cache of features, shared with other runs.
        resume: Continue the run in ``folder``.
        keep_models: Keep weights, model files and the report, not only predictions and scores.
        watcher: Receives progress updates.

    Returns:
        The finished run.

    Raises:
        ProtocolError: A fold trains on fewer than two labels.
        RunError: The folder holds a run and ``resume`` is not set, or a run with another recipe or
            split.
        EncoderError: The recipe's encoder cannot be found or used.
        ExportError: The model cannot be exported to ONNX.
        AudioError: A recording cannot be used.
    """
    check_labels(protocol)
    features = features or FeatureCache()
    watcher = watcher or Watcher()
    check_encoder(recipe)
    open_run(folder, recipe, protocol, resume=resume)
    for fold in protocol.folds:
        watcher.start_fold(fold.name, len(protocol.folds))
        fold_folder = find_fold_folder(folder, fold, len(protocol.folds))
        run_fold(
            recipe, fold, protocol.labels, fold_folder, features, watcher, keep_models=keep_models
        )
    return finish_run(recipe, protocol, folder, keep_models=keep_models)


def check_encoder(recipe: Recipe) -> None:
    """Refuse an encoder that cannot be exported, before hours of training."""
    if not isinstance(recipe.frontend, FrontendSettings):
        make_encoder(recipe.frontend).read_graph()


def run_fold(
    recipe: Recipe,
    fold: Fold,
    labels: tuple[str, ...],
    folder: Path,
    features: FeatureCache,
    watcher: Watcher,
    *,
    keep_models: bool = True,
) -> None:
    """Train one fold, write its model file, and predict its test clips, unless it is finished."""
    done = folder / (PREDICTIONS_NAME if fold.test else MODEL_NAME)
    if done.exists():
        return
    trained = train_fold(recipe, fold, labels, folder, features, watcher)
    calibration = calibrate_fold(recipe, fold, trained, folder, watcher)
    # Without test clips, the model is meant for use, so it is trained on all clips.
    settings = recipe.training
    refit = settings.refit or not (fold.test or settings.needs_validation)
    if refit and fold.validation:
        fold = replace(fold, train=(*fold.train, *fold.validation), validation=())
        # More speakers make a better model. A temperature fitted without them is close enough, or
        # slightly too cautious.
        trained = train_fold(recipe, fold, labels, folder / REFIT_FOLDER, features, watcher)
    model = make_classifier(recipe, trained, calibration.temperature)
    content = build_onnx(model, recipe, describe_model(recipe, fold, trained.labels, calibration))
    clips = (fold.test or fold.train)[:N_PARITY_CLIPS]
    waveforms = [load_audio(c.path, recipe.frontend.sample_rate_hz).samples for c in clips]
    check_parity(content, model, waveforms, folder / MODEL_NAME)
    if keep_models:
        encoder = name_encoder(recipe)
        save_weights(folder / WEIGHTS_NAME, trained, calibration.temperature, encoder=encoder)
        with replace_file(folder / MODEL_NAME) as part:
            part.write_bytes(content)
    if fold.test:
        watcher.start_clips("test clips", len(fold.test))
        predictions = predict_fold(content, fold, watcher.end_clip)
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
    """Compute the features of a fold's clips, and train the network."""
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
    """Fit temperature and threshold on a model file's predictions of the validation clips.

    Without validation clips, the model is not calibrated and never abstains as uncertain.
    """
    calibration = Calibration()
    if fold.validation:
        model = make_classifier(recipe, trained, calibration.temperature)
        content = build_onnx(
            model, recipe, describe_model(recipe, fold, trained.labels, calibration)
        )
        watcher.start_clips("validation clips", len(fold.validation))
        predictions = predict_clips(content, fold.validation, fold.name, watcher.end_clip)
        calibration = calibrate(predictions)
    write_text(folder / CALIBRATION_NAME, json.dumps(calibration.to_dict(), indent=1) + "\n")
    return calibration


def make_classifier(
    recipe: Recipe, trained: TrainedNetwork, temperature: float
) -> WaveformClassifier:
    """Add the front end before a trained network, and the temperature after it."""
    frontend, network = make_frontend(recipe), trained.network
    return WaveformClassifier(frontend, network, trained.mean, trained.std, temperature).eval()


def describe_model(
    recipe: Recipe, fold: Fold, labels: tuple[str, ...], calibration: Calibration
) -> ModelInfo:
    """Return the metadata of a fold's model file, without scores."""
    corpora = sorted({c.corpus for c in fold.train})
    licence = MODEL_LICENCE if corpora == ["ravdess"] else describe_licence(corpora)
    if isinstance(recipe.frontend, HuggingFaceSettings):
        licence += f". It contains the encoder {recipe.frontend.name}, under a separate licence"
    return ModelInfo(
        name=recipe.name,
        labels=labels,
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


def set_threads(threads: int | None) -> None:
    """Set the number of CPU threads for training; ``None`` uses one per core.

    The number affects a training's exact result, so it does not depend on the machine's load.
    """
    torch.set_num_threads(threads or os.cpu_count() or 1)
