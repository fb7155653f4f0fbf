"""Speech emotion recognition that people can trust.

The data's way, and the room of each stage:

    file / bytes / array -> audio -> model.onnx (model_file) -> recognizer -> results
                                                                    -> cli / report

    corpus folder -> corpora (clips, protocols) -> training (recipe, features, frontend,
    networks, trainer) -> export (onnx, keras) -> evaluation -> the run folder

``experiment`` walks the second way for one recipe, ``reproduce`` for the reference's two and ours;
``runs`` works with what they leave. Names below are loaded when they are first used: the runtime
(audio, model file, recognizer, results) never imports torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emovox.audio import Waveform, load_audio
    from emovox.corpora.clips import Clip
    from emovox.corpora.protocols import Fold, Protocol, make_protocol
    from emovox.errors import AudioError, EmovoxError
    from emovox.evaluation.breakdown import (
        find_confident_mistakes,
        find_confused_pairs,
        score_speakers,
    )
    from emovox.evaluation.evaluate import Evaluation, evaluate_predictions, predict_fold
    from emovox.evaluation.explain import Explanation, explain_recording
    from emovox.evaluation.run_files import read_history
    from emovox.experiment import (
        Run,
        Watcher,
        load_clips,
        load_protocol,
        run_experiment,
    )
    from emovox.labels import EMOTIONS
    from emovox.model_file import ModelInfo
    from emovox.recognizer import Recognizer
    from emovox.results import FileFailure, Prediction
    from emovox.runs import compare_runs, evaluate_run, export_run
    from emovox.speech import SpeechDetector
    from emovox.training.features import FeatureCache, ImageCache
    from emovox.training.recipe import Recipe, load_recipe
    from emovox.training.weights import load_network

__version__ = "0.1.0"

_ROOMS = {
    "emovox.audio": ("Waveform", "load_audio"),
    "emovox.corpora.clips": ("Clip",),
    "emovox.corpora.protocols": ("Fold", "Protocol", "make_protocol"),
    "emovox.errors": ("AudioError", "EmovoxError"),
    "emovox.evaluation.breakdown": (
        "find_confident_mistakes",
        "find_confused_pairs",
        "score_speakers",
    ),
    "emovox.evaluation.evaluate": ("Evaluation", "evaluate_predictions", "predict_fold"),
    "emovox.evaluation.explain": ("Explanation", "explain_recording"),
    "emovox.evaluation.run_files": ("read_history",),
    "emovox.experiment": (
        "Run",
        "Watcher",
        "load_clips",
        "load_protocol",
        "run_experiment",
    ),
    "emovox.labels": ("EMOTIONS",),
    "emovox.model_file": ("ModelInfo",),
    "emovox.recognizer": ("Recognizer",),
    "emovox.results": ("FileFailure", "Prediction"),
    "emovox.runs": ("compare_runs", "evaluate_run", "export_run"),
    "emovox.speech": ("SpeechDetector",),
    "emovox.training.features": ("FeatureCache", "ImageCache"),
    "emovox.training.recipe": ("Recipe", "load_recipe"),
    "emovox.training.weights": ("load_network",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "EMOTIONS",
    "AudioError",
    "Clip",
    "EmovoxError",
    "Evaluation",
    "Explanation",
    "FileFailure",
    "Fold",
    "FeatureCache",
    "ImageCache",
    "ModelInfo",
    "Prediction",
    "Protocol",
    "Recipe",
    "Recognizer",
    "Run",
    "SpeechDetector",
    "Watcher",
    "Waveform",
    "compare_runs",
    "evaluate_predictions",
    "evaluate_run",
    "explain_recording",
    "export_run",
    "find_confident_mistakes",
    "find_confused_pairs",
    "load_audio",
    "load_clips",
    "load_network",
    "load_protocol",
    "load_recipe",
    "make_protocol",
    "predict_fold",
    "read_history",
    "run_experiment",
    "score_speakers",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its room when it is first used."""
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'emovox' has no attribute {name!r}")
    value = getattr(import_module(_ROOM_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
