"""An experiment: one recipe under one protocol, from clips to a finished run folder.

    for each fold: images -> training -> calibration -> weights.safetensors, model.onnx
                   -> predictions.csv
    then:          metrics.json, the scores into each model file, report.html

A fold is finished when its predictions are written; an interrupted run continues with the others.
Folds are independent, so the folds of one run or of several can train at the same time.
"""

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from emovox.audio.load import load_audio
from emovox.corpora.clips import Clip
from emovox.corpora.folds import Fold, Protocol, check_labels
from emovox.corpora.registry import describe_licence, list_credits
from emovox.evaluation.calibration import Calibration, calibrate
from emovox.experiments.export import N_PARITY_CLIPS
from emovox.experiments.finished import Run, finish_run
from emovox.experiments.folds import check_protocol
from emovox.experiments.jobs import Job, Workers
from emovox.experiments.predict_clips import predict_clips, predict_fold
from emovox.export.onnx import build_onnx, check_parity
from emovox.files import replace_file, write_text
from emovox.progress import Watcher
from emovox.recipes.recipe import Recipe
from emovox.recipes.settings import FrontendSettings, HuggingFaceSettings
from emovox.recognition.model_info import ModelInfo, ReferencePrior, hash_clip_names
from emovox.runs.corpus import write_corpus
from emovox.runs.folder import (
    CALIBRATION_NAME,
    CHECKPOINT_FOLDER,
    MODEL_NAME,
    PREDICTIONS_NAME,
    REFIT_FOLDER,
    WEIGHTS_NAME,
    find_fold_folder,
    lock_run,
    open_run,
)
from emovox.runs.predictions import write_predictions
from emovox.training.features import (
    FeatureCache,
    describe_encoder,
    describe_encoder_licence,
    make_encoder,
    name_encoder,
    name_features,
)
from emovox.training.networks import WaveformClassifier, make_frontend
from emovox.training.trainer import TrainedNetwork, train_network
from emovox.training.weights import save_weights

MODEL_LICENCE = (
    "Weights trained on RAVDESS (CC BY-NC-SA 4.0): for non-commercial use, with attribution to "
    "Livingstone and Russo (2018)"
)


@dataclass(frozen=True, slots=True)
class Experiment:
    """One recipe under one protocol, and the folder of its run.

    Attributes:
        title: Name for progress updates.
        recipe: Recipe to train.
        protocol: Folds with training, validation and test clips.
        folder: Run folder; created if missing.
        resume: Continue the run in ``folder``.
        keep_models: Keep weights, model files and the report, not only predictions and scores.
    """

    title: str
    recipe: Recipe
    protocol: Protocol
    folder: Path
    resume: bool = True
    keep_models: bool = True

    def find_folder(self, fold: Fold) -> Path:
        """Return the folder of a fold's files."""
        return find_fold_folder(self.folder, fold, len(self.protocol.folds))

    def list_unfinished(self) -> list[Fold]:
        """Return the folds that are not finished."""
        return [f for f in self.protocol.folds if not is_finished(f, self.find_folder(f))]


def run_experiment(
    recipe: Recipe,
    protocol: Protocol,
    folder: Path,
    *,
    features: FeatureCache | None = None,
    resume: bool = False,
    keep_models: bool = True,
    jobs: int = 1,
    watcher: Watcher | None = None,
) -> Run:
    """Train and test a recipe on every fold of a protocol.

    The files do not depend on ``jobs``. A script that sets it needs ``if __name__ == "__main__":``
    around its calls, because the processes import the script.

    Args:
        recipe: Recipe to train.
        protocol: Folds with training, validation and test clips.
        folder: Run folder; created if missing.
        features: Cache of features, shared with other runs.
        resume: Continue the run in ``folder``.
        keep_models: Keep weights, model files and the report, not only predictions and scores.
        jobs: Number of folds that train at the same time, each in a process with one thread.
        watcher: Receives progress updates.

    Returns:
        The finished run.

    Raises:
        ProtocolError: A fold trains on fewer than two labels.
        CorpusError: A clip of a protocol that ``load_protocol`` did not make cannot be used.
        RunError: The folder holds a run and ``resume`` is not set, or a run with another recipe or
            split, or another training is writing into it; or a process was killed.
        EncoderError: The recipe's encoder cannot be found or used.
        ExportError: The model cannot be exported to ONNX.
        AudioError: A recording cannot be used.
    """
    experiment = Experiment(recipe.name, recipe, protocol, folder, resume, keep_models)
    (run,) = run_experiments([experiment], jobs=jobs, features=features, watcher=watcher)
    return run


def run_experiments(
    experiments: Sequence[Experiment],
    *,
    jobs: int = 1,
    features: FeatureCache | None = None,
    watcher: Watcher | None = None,
) -> list[Run]:
    """Train and test several recipes as ``run_experiment`` does, their folds at the same time.

    Args:
        experiments: Recipes, protocols and run folders.
        jobs: Number of folds that train at the same time, each in a process with one thread.
        features: Cache of features, shared with other runs.
        watcher: Receives progress updates.

    Returns:
        The finished runs, in the order of the experiments.
    """
    features = features or FeatureCache(jobs)
    watcher = watcher or Watcher()
    experiments = [
        e if e.protocol.check else replace(e, protocol=check_protocol(e.protocol, watcher))
        for e in experiments
    ]
    with ExitStack() as locks:
        for experiment in experiments:
            check_labels(experiment.protocol)
            check_encoder(experiment.recipe)
            locks.enter_context(lock_run(experiment.folder))
            open_run(
                experiment.folder, experiment.recipe, experiment.protocol, resume=experiment.resume
            )
            write_corpus(experiment.folder, experiment.recipe, experiment.protocol)
        return run_unfinished(experiments, jobs, features, watcher)


def run_unfinished(
    experiments: Sequence[Experiment], jobs: int, features: FeatureCache, watcher: Watcher
) -> list[Run]:
    """Train and test the folds that are not finished, and combine the folds of each run."""
    unfinished = [(index, f) for index, e in enumerate(experiments) for f in e.list_unfinished()]
    if min(jobs, len(unfinished)) > 1:
        store_features(
            [(experiments[index].recipe, f) for index, f in unfinished], features, watcher
        )
    runs: dict[int, Run] = {}
    n_left = Counter(index for index, _ in unfinished)
    with Workers(jobs, features) as workers:
        work = [
            Job(experiments[index].title, partial(run_experiment_fold, experiments[index], fold))
            for index, fold in unfinished
        ]
        for number, _ in workers.run(work, watcher):
            index, _ = unfinished[number]
            n_left[index] -= 1
            if not n_left[index]:
                runs[index] = finish_experiment(experiments[index])
    return [
        runs[index] if index in runs else finish_experiment(experiment)
        for index, experiment in enumerate(experiments)
    ]


def finish_experiment(experiment: Experiment) -> Run:
    """Combine the folds of an experiment's run."""
    return finish_run(
        experiment.recipe,
        experiment.protocol,
        experiment.folder,
        keep_models=experiment.keep_models,
    )


def run_experiment_fold(
    experiment: Experiment, fold: Fold, features: FeatureCache, watcher: Watcher
) -> None:
    """Train and test one fold of an experiment."""
    watcher.start_fold(fold.name, len(experiment.protocol.folds))
    run_fold(
        experiment.recipe,
        fold,
        experiment.protocol.labels,
        experiment.find_folder(fold),
        features,
        watcher,
        keep_models=experiment.keep_models,
    )


def store_features(
    trainings: Sequence[tuple[Recipe, Fold]], features: FeatureCache, watcher: Watcher
) -> None:
    """Compute the features of all clips once, before several processes need them."""
    kinds: dict[tuple[object, object], tuple[Recipe, list[Clip], list[Clip]]] = {}
    for recipe, fold in trainings:
        new = (recipe, list[Clip](), list[Clip]())
        _, train, validation = kinds.setdefault((recipe.frontend, recipe.augmentation), new)
        train += fold.train
        validation += fold.validation
        if trains_again(recipe, fold):
            train += fold.validation
    for recipe, train, validation in kinds.values():
        features.store(train, validation, recipe, watcher)


def trains_again(recipe: Recipe, fold: Fold) -> bool:
    """Return whether the model of a fold is finally trained on the validation clips as well."""
    # Without test clips, the model is meant for use, so it is trained on all clips.
    settings = recipe.training
    refit = settings.refit or not (fold.test or settings.needs_validation)
    return refit and bool(fold.validation)


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
    if is_finished(fold, folder):
        return
    trained = train_fold(recipe, fold, labels, folder, features, watcher)
    calibration = calibrate_fold(recipe, fold, trained, folder, watcher)
    if trains_again(recipe, fold):
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


def is_finished(fold: Fold, folder: Path) -> bool:
    """Return whether a fold was trained and tested."""
    return (folder / (PREDICTIONS_NAME if fold.test else MODEL_NAME)).exists()


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
        corpora=[clip.corpus for clip in fold.train],
        speakers=[clip.speaker for clip in fold.train],
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
        training_speakers=tuple(sorted({c.speaker for c in (*fold.train, *fold.validation)})),
        encoder_training=describe_encoder(recipe),
        encoder_licence=describe_encoder_licence(recipe),
        corpora=list_credits(corpora),
        reference=ReferencePrior() if recipe.training.references else None,
    )
