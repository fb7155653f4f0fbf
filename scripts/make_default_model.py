"""Make the model that comes with the package, once `make reproduce-all` has said which is better.

    .venv/bin/python scripts/make_default_model.py runs

The better of the two reference recipes, by mean WA over the splits of `reference-repeated`, is
trained on all 240 clips of actors 1-4. There is nothing left to validate on, so early stopping is
replaced by a fixed number of epochs: the median of the best epochs of those splits. Its temperature
and its threshold for "uncertain" are fitted on actors 1-4 as well, each heard by a model that was
trained on the other three. The file
is then tested on the 20 actors that nothing of this has seen, and carries that score and its
recipe's.
"""

import json
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from emovox import (
    Evaluation,
    Fold,
    Protocol,
    Recipe,
    evaluate_predictions,
    load_audio,
    load_clips,
    load_network,
    load_protocol,
    load_recipe,
    predict_fold,
    run_experiment,
)
from emovox.corpora.protocols import REFERENCE_ACTORS
from emovox.errors import RunError
from emovox.evaluation.calibration import Calibration, calibrate
from emovox.experiment import set_threads
from emovox.export.onnx import export_onnx, write_scores
from emovox.files import replace_file
from emovox.model_file import find_default_model, open_model
from emovox.reproduce import RECIPES, SPEAKER_INDEPENDENT

CHOSEN_BY = "reference-repeated"


def main(runs: Path) -> None:
    """Choose, train on everything, test on new voices, and put the file where it is looked for."""
    runs_metrics = {name: read_metrics(runs / f"{name}-{CHOSEN_BY}") for name in RECIPES}
    best = max(RECIPES, key=lambda name: runs_metrics[name]["summary"]["accuracy"]["mean"])
    changes = ["data.protocol=everything", f"data.actors={[int(a) for a in REFERENCE_ACTORS]}"]
    if load_recipe(best).training.early_stopping_patience:
        epochs = round(statistics.median(f["best_epoch"] for f in runs_metrics[best]["folds"]))
        changes += [
            "training.early_stopping_patience=0",
            "training.schedule=constant",
            f"training.epochs={epochs}",
        ]
    recipe = load_recipe(best, changes)
    set_threads(None)
    with tempfile.TemporaryDirectory() as temporary:
        run = run_experiment(recipe, load_protocol(recipe, None), Path(temporary) / "run")
        model = run.folder / "model.onnx"
        calibration = find_calibration(recipe, run.folder.parent / "known-voices")
        before = test_on_new_voices(model)
        set_calibration(run.folder, calibration)
        after = test_on_new_voices(model)
        scores = after.to_scores()
        for protocol in (CHOSEN_BY, SPEAKER_INDEPENDENT):
            fold_model = next(iter(sorted((runs / f"{best}-{protocol}").glob("fold-*/model.onnx"))))
            scores += open_model(fold_model).info.scores
        write_scores(model, scores)
        with replace_file(find_default_model()) as part:
            part.write_bytes(model.read_bytes())
    info = open_model(find_default_model()).info
    typer.echo(f"{best}, {recipe.training.epochs} epochs, {info.training_clips} training clips")
    for score in info.scores:
        typer.echo(f"  {score}")
    for name, found in (("1", before), (f"{calibration.temperature:.2f}", after)):
        typer.echo(f"  at temperature {name}, on new voices: {found.describe_calibration()}")
    for line in after.describe_abstention():
        typer.echo(f"  {line}")


def read_metrics(run: Path) -> dict[str, Any]:
    """Return a run's metrics.json."""
    content: dict[str, Any] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return content


def find_calibration(recipe: Recipe, folder: Path) -> Calibration:
    """Fit temperature and threshold on each known voice, heard by a model of the other three."""
    clips = [clip for clip in load_clips() if clip.speaker in REFERENCE_ACTORS]
    folds = tuple(
        Fold(
            f"{number:02d}",
            train=tuple(clip for clip in clips if clip.speaker != speaker),
            validation=(),
            test=tuple(clip for clip in clips if clip.speaker == speaker),
        )
        for number, speaker in enumerate(REFERENCE_ACTORS, 1)
    )
    protocol = Protocol("known-voices", 1, "leave one of actors 1-4 out", True, folds)
    run = run_experiment(recipe, protocol, folder, keep_models=False)
    if run.predictions is None:
        raise RunError("nothing was tested to calibrate on")
    return calibrate(run.predictions)


def set_calibration(folder: Path, calibration: Calibration) -> None:
    """Write a run's model file anew, with temperature and threshold."""
    recipe = load_recipe(folder / "recipe.toml")
    network = load_network(folder, recipe)
    network.temperature.fill_(calibration.temperature)
    info = replace(
        open_model(folder / "model.onnx").info,
        temperature=calibration.temperature,
        min_confidence=calibration.min_confidence,
    )
    rate_hz = recipe.frontend.sample_rate_hz
    waveforms = [load_audio(clip.path, rate_hz).samples for clip in load_clips()[:4]]
    export_onnx(network, recipe, info, folder / "model.onnx", waveforms)


def test_on_new_voices(model: Path) -> Evaluation:
    """Score the file on every clip of the actors that it was not trained on."""
    clips = load_clips()
    known = tuple(clip for clip in clips if clip.speaker in REFERENCE_ACTORS)
    new = tuple(clip for clip in clips if clip.speaker not in REFERENCE_ACTORS)
    fold = Fold("01", known, (), new)
    protocol = Protocol("new-voices", 1, "trained on actors 1-4, tested on 5-24", True, (fold,))
    info = open_model(model).info
    own = Calibration(info.temperature, info.min_confidence, len(known), len(REFERENCE_ACTORS))
    return evaluate_predictions(protocol, predict_fold(model, fold), {fold.name: own})


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs"))
