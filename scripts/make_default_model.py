"""Make the model that comes with the package, once `make reproduce-all` has said which is better.

    .venv/bin/python scripts/make_default_model.py runs

The better of the two reference recipes, by mean WA over the splits of `reference-repeated`, is
trained on all 240 clips of actors 1-4. There is nothing left to validate on, so early stopping is
replaced by a fixed number of epochs: the median of the best epochs of those splits. The file is
then tested on the 20 actors that nothing of this has seen, and carries that score and its recipe's.
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import typer

from emovox import Fold, Protocol, load_clips, load_protocol, load_recipe, run_experiment
from emovox.corpora.protocols import REFERENCE_ACTORS
from emovox.evaluation.evaluate import evaluate_predictions, predict_fold
from emovox.experiment import set_threads
from emovox.export.onnx import write_scores
from emovox.files import replace_file
from emovox.model_file import ProtocolScore, find_default_model, open_model
from emovox.reproduce import RECIPES, SPEAKER_INDEPENDENT

CHOSEN_BY = "reference-repeated"


def main(runs: Path) -> None:
    """Choose, train on everything, test on new voices, and put the file where it is looked for."""
    metrics = {name: read_metrics(runs / f"{name}-{CHOSEN_BY}") for name in RECIPES}
    best = max(RECIPES, key=lambda name: metrics[name]["summary"]["accuracy"]["mean"])
    changes = ["data.protocol=everything", f"data.actors={[int(a) for a in REFERENCE_ACTORS]}"]
    if load_recipe(best).training.early_stopping_patience:
        epochs = round(statistics.median(f["best_epoch"] for f in metrics[best]["folds"]))
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
        scores = test_on_new_voices(model)
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


def read_metrics(run: Path) -> dict[str, Any]:
    """Return a run's metrics.json."""
    content: dict[str, Any] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return content


def test_on_new_voices(model: Path) -> tuple[ProtocolScore, ...]:
    """Score the file on every clip of the actors that it was not trained on."""
    clips = load_clips()
    known = tuple(clip for clip in clips if clip.speaker in REFERENCE_ACTORS)
    new = tuple(clip for clip in clips if clip.speaker not in REFERENCE_ACTORS)
    fold = Fold("01", known, (), new)
    protocol = Protocol("new-voices", 1, "trained on actors 1-4, tested on 5-24", True, (fold,))
    return evaluate_predictions(protocol, predict_fold(model, fold)).to_scores()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs"))
