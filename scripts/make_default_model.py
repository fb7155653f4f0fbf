"""Make the model that comes with the package, once `make reproduce-all` has said which is better.

    .venv/bin/python scripts/make_default_model.py runs

The better of the two reference recipes, by mean WA over the splits of `reference-repeated`, is
trained on all 240 clips of actors 1-4. There is nothing left to validate on, so early stopping is
replaced by a fixed number of epochs: the median of the best epochs of those splits.
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path

import typer

from emovox import load_protocol, load_recipe, run_experiment
from emovox.corpora.protocols import REFERENCE_ACTORS
from emovox.experiment import set_threads
from emovox.export.onnx import write_scores
from emovox.files import replace_file
from emovox.model_file import ProtocolScore, find_default_model, open_model
from emovox.reproduce import RECIPES, SPEAKER_INDEPENDENT

CHOSEN_BY = "reference-repeated"


def read_metrics(run: Path) -> dict[str, object]:
    """Return a run's metrics.json."""
    content: dict[str, object] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return content


def main(runs: Path) -> None:
    """Choose, train on everything, and put the model where the package looks for it."""
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
    scores: list[ProtocolScore] = []
    for protocol in (CHOSEN_BY, SPEAKER_INDEPENDENT):
        folder = runs / f"{best}-{protocol}"
        model = next(iter(sorted(folder.glob("fold-*/model.onnx"))))
        scores += open_model(model).info.scores
    with tempfile.TemporaryDirectory() as temporary:
        run = run_experiment(recipe, load_protocol(recipe, None), Path(temporary) / "run")
        write_scores(run.folder / "model.onnx", scores)
        with replace_file(find_default_model()) as part:
            part.write_bytes((run.folder / "model.onnx").read_bytes())
    info = open_model(find_default_model()).info
    typer.echo(f"{find_default_model().name}: {best}, {info.training_clips} training clips")
    for score in info.scores:
        typer.echo(f"  {score}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs"))
