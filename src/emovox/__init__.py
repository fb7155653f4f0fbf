"""Speech emotion recognition that people can trust.

Data flow, with the package of each stage:

    file / bytes / array -> audio -> recognition (model file, recognizer) -> Prediction

    corpus folder -> corpora (clips, folds) -> training (recipes, features, networks) -> export
                  -> recognition (test clips) -> evaluation -> runs (the run folder) -> report

``experiments`` runs the second pipeline; ``stress``, ``explain`` and ``tuning`` build on it,
``timeline`` writes what a recogniser finds in long recordings, and ``cli`` is the command line.
Public names are imported on first use, and ``recognition`` never imports torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from emovox import telemetry

# Before any dependency is imported: every other import of emovox passes here first.
telemetry.switch_off()

if TYPE_CHECKING:
    from emovox.adapt.adapt import Adaptation, adapt_model
    from emovox.archives.progress import ArchiveSummary, ArchiveWatcher
    from emovox.archives.run import archive
    from emovox.archives.settings import ArchiveSettings
    from emovox.audio.load import iterate_audio, load_audio
    from emovox.audio.raw import RawFormat
    from emovox.audio.waveform import Waveform
    from emovox.corpora.clips import Clip, CorpusListing
    from emovox.corpora.folds import Fold, Protocol
    from emovox.corpora.protocols import make_protocol
    from emovox.corpora.read import load_clips, read_corpus
    from emovox.errors import (
        ArchiveError,
        AudioError,
        CorpusError,
        DownloadError,
        EmovoxError,
        EncoderError,
        ExportError,
        ModelFileError,
        ProtocolError,
        RecipeError,
        RunError,
        VoiceError,
    )
    from emovox.evaluation.breakdown import (
        find_confident_mistakes,
        find_confused_pairs,
        score_speakers,
    )
    from emovox.evaluation.evaluate import Evaluation, evaluate_predictions
    from emovox.evaluation.predictions import Predictions
    from emovox.experiments.evaluate_model import evaluate_model
    from emovox.experiments.export import export_run
    from emovox.experiments.finished import Run, compare_runs, evaluate_run
    from emovox.experiments.folds import load_protocol
    from emovox.experiments.model_evaluation import ModelEvaluation
    from emovox.experiments.predict_clips import predict_fold
    from emovox.experiments.sweep import SweepRow, sweep_recipe
    from emovox.experiments.train_and_test import run_experiment
    from emovox.explain.regions import Explanation, explain_recording
    from emovox.labels import EMOTIONS
    from emovox.perturbations.catalogue import find_tests
    from emovox.progress import Watcher
    from emovox.recipes.recipe import Recipe, list_recipes, load_recipe
    from emovox.recognition.frame import to_frame
    from emovox.recognition.model_file import ModelInfo
    from emovox.recognition.recognizer import Recognizer
    from emovox.recognition.results import FileFailure, Prediction
    from emovox.recognition.stream import StreamingRecognizer, StreamUpdate
    from emovox.recognition.voice import Voice
    from emovox.recognition.voice_activity import SpeechDetector
    from emovox.runs.history import read_history
    from emovox.runs.predictions import read_predictions
    from emovox.stress.perturbed_clips import StressSettings
    from emovox.stress.stress_test import StressReport, stress_model, stress_runs
    from emovox.timeline.formats import format_timeline
    from emovox.training.features import FeatureCache, ImageCache
    from emovox.training.weights import load_network
    from emovox.tuning.nested import NestedTuning, tune_nested
    from emovox.tuning.objective import Metric
    from emovox.tuning.study import StudySettings, TuneWatcher
    from emovox.tuning.trials import Trial, Tuning
    from emovox.tuning.tune import tune_recipe

__version__ = "0.1.0"

_ROOMS = {
    "emovox.adapt.adapt": (
        "Adaptation",
        "adapt_model",
    ),
    "emovox.archives.progress": (
        "ArchiveSummary",
        "ArchiveWatcher",
    ),
    "emovox.archives.run": ("archive",),
    "emovox.archives.settings": ("ArchiveSettings",),
    "emovox.audio.load": (
        "iterate_audio",
        "load_audio",
    ),
    "emovox.audio.raw": ("RawFormat",),
    "emovox.audio.waveform": ("Waveform",),
    "emovox.corpora.clips": (
        "Clip",
        "CorpusListing",
    ),
    "emovox.corpora.folds": (
        "Fold",
        "Protocol",
    ),
    "emovox.corpora.protocols": ("make_protocol",),
    "emovox.corpora.read": (
        "load_clips",
        "read_corpus",
    ),
    "emovox.errors": (
        "ArchiveError",
        "AudioError",
        "CorpusError",
        "DownloadError",
        "EmovoxError",
        "EncoderError",
        "ExportError",
        "ModelFileError",
        "ProtocolError",
        "RecipeError",
        "RunError",
        "VoiceError",
    ),
    "emovox.evaluation.breakdown": (
        "find_confident_mistakes",
        "find_confused_pairs",
        "score_speakers",
    ),
    "emovox.evaluation.evaluate": (
        "Evaluation",
        "evaluate_predictions",
    ),
    "emovox.evaluation.predictions": ("Predictions",),
    "emovox.experiments.evaluate_model": ("evaluate_model",),
    "emovox.experiments.export": ("export_run",),
    "emovox.experiments.finished": (
        "Run",
        "compare_runs",
        "evaluate_run",
    ),
    "emovox.experiments.folds": ("load_protocol",),
    "emovox.experiments.model_evaluation": ("ModelEvaluation",),
    "emovox.experiments.predict_clips": ("predict_fold",),
    "emovox.experiments.sweep": (
        "SweepRow",
        "sweep_recipe",
    ),
    "emovox.experiments.train_and_test": ("run_experiment",),
    "emovox.explain.regions": (
        "Explanation",
        "explain_recording",
    ),
    "emovox.labels": ("EMOTIONS",),
    "emovox.perturbations.catalogue": ("find_tests",),
    "emovox.progress": ("Watcher",),
    "emovox.recipes.recipe": (
        "Recipe",
        "list_recipes",
        "load_recipe",
    ),
    "emovox.recognition.frame": ("to_frame",),
    "emovox.recognition.model_file": ("ModelInfo",),
    "emovox.recognition.recognizer": ("Recognizer",),
    "emovox.recognition.results": (
        "FileFailure",
        "Prediction",
    ),
    "emovox.recognition.stream": (
        "StreamUpdate",
        "StreamingRecognizer",
    ),
    "emovox.recognition.voice": ("Voice",),
    "emovox.recognition.voice_activity": ("SpeechDetector",),
    "emovox.runs.history": ("read_history",),
    "emovox.runs.predictions": ("read_predictions",),
    "emovox.stress.perturbed_clips": ("StressSettings",),
    "emovox.stress.stress_test": (
        "StressReport",
        "stress_model",
        "stress_runs",
    ),
    "emovox.timeline.formats": ("format_timeline",),
    "emovox.training.features": (
        "FeatureCache",
        "ImageCache",
    ),
    "emovox.training.weights": ("load_network",),
    "emovox.tuning.nested": (
        "NestedTuning",
        "tune_nested",
    ),
    "emovox.tuning.objective": ("Metric",),
    "emovox.tuning.study": (
        "StudySettings",
        "TuneWatcher",
    ),
    "emovox.tuning.trials": (
        "Trial",
        "Tuning",
    ),
    "emovox.tuning.tune": ("tune_recipe",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "EMOTIONS",
    "Adaptation",
    "ArchiveError",
    "ArchiveSettings",
    "ArchiveSummary",
    "ArchiveWatcher",
    "AudioError",
    "Clip",
    "CorpusError",
    "CorpusListing",
    "DownloadError",
    "EmovoxError",
    "EncoderError",
    "Evaluation",
    "Explanation",
    "ExportError",
    "FileFailure",
    "Fold",
    "FeatureCache",
    "ImageCache",
    "ModelFileError",
    "ModelEvaluation",
    "Metric",
    "ModelInfo",
    "NestedTuning",
    "Prediction",
    "Predictions",
    "Protocol",
    "ProtocolError",
    "RawFormat",
    "Recipe",
    "RecipeError",
    "Recognizer",
    "Run",
    "RunError",
    "SpeechDetector",
    "StreamUpdate",
    "StreamingRecognizer",
    "StressReport",
    "StressSettings",
    "StudySettings",
    "SweepRow",
    "Trial",
    "TuneWatcher",
    "Tuning",
    "Voice",
    "VoiceError",
    "Watcher",
    "Waveform",
    "adapt_model",
    "archive",
    "compare_runs",
    "evaluate_model",
    "evaluate_predictions",
    "evaluate_run",
    "explain_recording",
    "export_run",
    "find_confident_mistakes",
    "find_confused_pairs",
    "find_tests",
    "format_timeline",
    "iterate_audio",
    "list_recipes",
    "load_audio",
    "load_clips",
    "load_network",
    "load_protocol",
    "load_recipe",
    "make_protocol",
    "predict_fold",
    "read_corpus",
    "read_history",
    "read_predictions",
    "run_experiment",
    "score_speakers",
    "stress_model",
    "stress_runs",
    "to_frame",
    "sweep_recipe",
    "tune_nested",
    "tune_recipe",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'emovox' has no attribute {name!r}")
    value = getattr(import_module(_ROOM_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
