"""An experiment: one recipe under one protocol, from clips to a finished run folder.

    for each fold: images -> training -> calibration -> weights.safetensors -> model.onnx
                   -> predictions.csv
    then:          metrics.json, the scores into each model file, report.html

A fold is finished when its predictions are written; an interrupted run goes on where it stopped.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from emovox.audio import load_audio
from emovox.corpora.clips import Clip, CorpusListing
from emovox.corpora.combine import add_training_clips, join_listings
from emovox.corpora.cross import list_corpora, make_cross, parse_cross
from emovox.corpora.protocols import (
    Fold,
    Protocol,
    format_split,
    make_protocol,
    read_split,
)
from emovox.corpora.read import read_corpus
from emovox.corpora.registry import describe_licence
from emovox.errors import RunError
from emovox.evaluation.calibration import Calibration, calibrate
from emovox.evaluation.evaluate import (
    Evaluation,
    evaluate_predictions,
    predict_clips,
    predict_fold,
    write_metrics,
)
from emovox.evaluation.predictions import (
    Predictions,
    concatenate_predictions,
    read_predictions,
    write_predictions,
)
from emovox.evaluation.run_files import read_calibration, read_history
from emovox.export.onnx import export_onnx, write_scores
from emovox.files import write_text
from emovox.labels import EMOTIONS
from emovox.model_file import ModelInfo, hash_clip_names
from emovox.training.checkpoint import Epoch
from emovox.training.features import FeatureCache, make_encoder, name_encoder, name_features
from emovox.training.networks import WaveformClassifier, make_frontend
from emovox.training.recipe import Recipe, change_settings, load_recipe
from emovox.training.settings import FrontendSettings, HuggingFaceSettings
from emovox.training.trainer import TrainedNetwork, train_network
from emovox.training.weights import save_weights

MODEL_LICENCE = (
    "Weights trained on RAVDESS (CC BY-NC-SA 4.0): for non-commercial use, with attribution to "
    "Livingstone and Russo (2018)"
)
N_PARITY_CLIPS = 4


class Watcher:
    """Hears how an experiment goes on; the command line's draws progress bars."""

    def start_fold(self, fold: Fold, n_folds: int) -> None:
        """A fold begins."""

    def start_clips(self, action: str, n_clips: int) -> None:
        """So many clips will be worked on."""

    def end_clip(self) -> None:
        """One of them is done."""

    def start_training(self, n_epochs: int) -> None:
        """Training begins, of at most so many epochs."""

    def end_epoch(self, epoch: Epoch) -> None:
        """An epoch is done."""

    def end_training(self) -> None:
        """Training is done."""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run.

    Attributes:
        folder: Where everything lies.
        recipe: What it was trained by.
        predictions: Of all test clips.
        evaluation: Their scores; ``None`` where nothing was tested.
    """

    folder: Path
    recipe: Recipe
    predictions: Predictions | None
    evaluation: Evaluation | None


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
        RunError: The folder holds a run and ``resume`` is not set, or another recipe's or split's.
        EncoderError: The recipe's encoder cannot be had or used.
        ExportError: No model file can hold it.
        AudioError: A recording cannot be used.
    """
    features = features or FeatureCache()
    watcher = watcher or Watcher()
    if not isinstance(recipe.frontend, FrontendSettings):
        # First of all: an encoder that no model file can hold would else fail behind the training.
        make_encoder(recipe.frontend).read_graph()
    open_run(folder, recipe, protocol, resume=resume)
    for fold in protocol.folds:
        watcher.start_fold(fold, len(protocol.folds))
        run_fold(
            recipe, fold, find_fold_folder(folder, fold, len(protocol.folds)), features, watcher
        )
        if not keep_models:
            for name in ("weights.safetensors", "model.onnx"):
                (find_fold_folder(folder, fold, len(protocol.folds)) / name).unlink(missing_ok=True)
    return finish_run(recipe, protocol, folder, keep_models=keep_models)


def open_run(folder: Path, recipe: Recipe, protocol: Protocol, *, resume: bool) -> None:
    """Make the run folder, or check that what is there is the same run.

    Raises:
        RunError: A run is there and ``resume`` is not set, or it is another one.
    """
    recipe_path, split_path = folder / "recipe.toml", folder / "split.csv"
    if recipe_path.exists():
        if not resume:
            raise RunError(
                f"{folder} holds a run already; go on with it by --resume, or name another folder "
                "by --out"
            )
        # Where a search may look changes no run.
        if change_settings(load_recipe(recipe_path), {}) != change_settings(recipe, {}):
            raise RunError(
                f"{recipe_path} differs from the recipe asked for; resume with the same recipe "
                "and --set values, or name another folder by --out"
            )
    split = format_split(protocol)
    if split_path.exists() and split_path.read_text(encoding="utf-8") != split:
        raise RunError(
            f"{split_path} differs from the split asked for: other clips or another protocol; "
            "name another folder by --out"
        )
    write_text(split_path, split)
    write_text(recipe_path, recipe.to_toml())


def find_fold_folder(folder: Path, fold: Fold, n_folds: int) -> Path:
    """Return where a fold's files lie: a folder each, or the run's own if there is only one."""
    return folder / f"fold-{fold.name}" if n_folds > 1 else folder


def run_fold(
    recipe: Recipe, fold: Fold, folder: Path, features: FeatureCache, watcher: Watcher
) -> None:
    """Train one fold, write its model file, and predict its test clips, unless that is done."""
    done = folder / ("predictions.csv" if fold.test else "model.onnx")
    if done.exists():
        return
    trained = train_fold(recipe, fold, folder, features, watcher)
    calibration = calibrate_fold(recipe, fold, trained, folder, watcher)
    if recipe.training.refit and fold.validation:
        fold = replace(fold, train=(*fold.train, *fold.validation), validation=())
        # More voices make a better model. A temperature found without them suits it well enough:
        # if anything, it is a little too cautious.
        trained = train_fold(recipe, fold, folder / "refit", features, watcher)
    save_weights(
        folder / "weights.safetensors",
        trained,
        calibration.temperature,
        encoder=name_encoder(recipe),
    )
    export_fold(recipe, fold, trained, folder / "model.onnx", calibration)
    if fold.test:
        watcher.start_clips("test clips", len(fold.test))
        predictions = predict_fold(folder / "model.onnx", fold, watcher.end_clip)
        write_predictions(folder / "predictions.csv", predictions)
    for finished in (folder, folder / "refit"):
        shutil.rmtree(finished / "checkpoint", ignore_errors=True)


def train_fold(
    recipe: Recipe, fold: Fold, folder: Path, features: FeatureCache, watcher: Watcher
) -> TrainedNetwork:
    """Compute what the network takes of a fold's clips, and train it."""
    n_unknown = features.count_unknown(fold.train, recipe, augment=True)
    n_unknown += features.count_unknown(fold.validation, recipe)
    watcher.start_clips(name_features(recipe), n_unknown)
    train_set = features.load(fold.train, recipe, augment=True, on_clip=watcher.end_clip)
    validation_set = features.load(fold.validation, recipe, on_clip=watcher.end_clip)
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
    write_text(folder / "calibration.json", json.dumps(calibration.to_dict(), indent=1) + "\n")
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
        labels=EMOTIONS,
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


def finish_run(recipe: Recipe, protocol: Protocol, folder: Path, *, keep_models: bool) -> Run:
    """Collect the folds: history, predictions, scores, and the report."""
    if not any(fold.test for fold in protocol.folds):
        return Run(folder, recipe, None, None)
    folders = [find_fold_folder(folder, fold, len(protocol.folds)) for fold in protocol.folds]
    parts = [read_predictions(f / "predictions.csv") for f in folders]
    predictions = concatenate_predictions(parts)
    calibrations = {
        fold.name: read_calibration(fold_folder / "calibration.json")
        for fold, fold_folder in zip(protocol.folds, folders, strict=True)
    }
    evaluation = evaluate_predictions(protocol, predictions, calibrations)
    write_predictions(folder / "predictions.csv", predictions)
    header, *_ = (folders[0] / "history.csv").read_text(encoding="utf-8").splitlines()
    rows = [
        row
        for fold_folder in folders
        for row in (fold_folder / "history.csv").read_text(encoding="utf-8").splitlines()[1:]
    ]
    write_text(folder / "history.csv", "\n".join([header, *rows]) + "\n")
    histories = read_history(folder / "history.csv")
    write_metrics(folder / "metrics.json", evaluation, recipe, histories, calibrations)
    if keep_models:
        # Importing matplotlib takes a second: only when there is something to draw.
        from emovox.evaluation.report import write_report

        for fold_folder in folders:
            write_scores(fold_folder / "model.onnx", evaluation.to_scores())
        write_report(folder, {c.name: c for fold in protocol.folds for c in fold.test})
    return Run(folder, recipe, predictions, evaluation)


def set_threads(threads: int | None) -> None:
    """Use so many CPU threads for training; ``None``: one per core.

    The bytes of a training depend on it, so that it does not follow from the machine's load.
    """
    torch.set_num_threads(threads or os.cpu_count() or 1)


def load_clips(data: Path | None = None, corpora: Sequence[str] = ("ravdess",)) -> list[Clip]:
    """Read all clips of some corpora, each recording once.

    Args:
        data: Where the corpora lie; ``None``: the usual places.
        corpora: Their names, or paths of lists and folders.

    Raises:
        CorpusError: One is not here.
    """
    return [clip for listing in load_listings(data, corpora) for clip in listing.clips]


def load_listings(data: Path | None, corpora: Sequence[str]) -> list[CorpusListing]:
    """List the clips of each corpus, without those that an earlier one lists too."""
    return join_listings([read_corpus(name, data) for name in corpora])


def load_protocol(
    recipe: Recipe,
    data: Path | None,
    *,
    n_splits: int | None = None,
    split: Path | None = None,
    allow_speaker_overlap: bool = False,
) -> Protocol:
    """Make the folds that a recipe asks for.

    Args:
        recipe: Names the corpora, the protocol and, where not all take part, the actors. The
            protocol splits the first corpus; clips of the others train, but those of a fold's
            validation and test speakers.
        data: Where the corpus lies; ``None``: the usual places.
        n_splits: Keep only the first folds.
        split: A custom split instead of the recipe's protocol.
        allow_speaker_overlap: Take a custom split that tests training speakers.

    Returns:
        The protocol with its folds.

    Raises:
        CorpusError: The corpus is not here.
        ProtocolError: The protocol cannot be made of it.
    """
    actors = {str(actor) for actor in recipe.data.actors}
    listings = load_listings(data, list_corpora(recipe.data.protocol, recipe.data.corpora))
    corpora = [
        [c for c in listing.clips if c.speaker in actors or not (actors and is_ravdess(c))]
        for listing in listings
    ]
    if split is not None:
        clips = [clip for corpus in corpora for clip in corpus]
        protocol = read_split(split, clips, allow_speaker_overlap=allow_speaker_overlap)
    elif parse_cross(recipe.data.protocol):
        *trained, tested = corpora
        clips = [clip for corpus in trained for clip in corpus]
        protocol = make_cross(recipe.data.protocol, clips, tested)
    else:
        protocol = make_protocol(recipe.data.protocol, corpora[0], n_splits=n_splits)
        more = [clip for corpus in corpora[1:] for clip in corpus]
        protocol = add_training_clips(protocol, more)
    notes = [note for listing in listings for note in listing.describe_unused()]
    return replace(protocol, notes=(*notes, *protocol.notes))


def is_ravdess(clip: Clip) -> bool:
    """Return whether an actor of RAVDESS speaks or sings in a clip."""
    return clip.speaker.isdecimal()
