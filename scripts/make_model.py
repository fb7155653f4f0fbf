"""Make the bundled model, after `make accuracy` has scored its recipe.

    .venv/bin/python scripts/make_model.py runs/accuracy
    .venv/bin/python scripts/make_model.py --restamp

The recipe is trained on every clip of its corpora, so no clips are left to test the model on. The
scores in its metadata are those of its recipe under each protocol. Temperature and threshold are
averages over the folds and seeds of `emobox-6`, each fitted on speakers unseen in training.

`--restamp` trains nothing: it writes the bundled file's metadata in the current format, with its
seal.
"""

import csv
import json
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import onnx
import typer

from emovox import load_audio, load_clips, load_network, load_protocol, load_recipe, run_experiment
from emovox.corpora.registry import list_credits
from emovox.errors import RunError
from emovox.export.metadata import serialize_model
from emovox.export.onnx import add_embedding, export_onnx
from emovox.files import replace_file
from emovox.recognition.model_file import (
    FORMAT_VERSION,
    ModelInfo,
    ProtocolScore,
    find_default_model,
    open_model,
)
from emovox.training.features import describe_encoder_licence

RECIPE = "encoder"
CALIBRATED_BY = "emobox-6"
SCORES = Path(__file__).parents[1] / "benchmarks" / "accuracy.csv"


def main(
    runs: Annotated[Path | None, typer.Argument()] = None,
    restamp: Annotated[bool, typer.Option("--restamp")] = False,
) -> None:
    """Train on everything, calibrate, and write the bundled model file."""
    if restamp or runs is None:
        if runs is not None or not restamp:
            raise typer.BadParameter("expected the folder of `make accuracy`, or --restamp")
        restamp_model(find_default_model())
    else:
        make_model(runs)
    print_model(open_model(find_default_model()).info)


def restamp_model(path: Path) -> None:
    """Write a model file in the current format, with its embedding as an output, and its seal."""
    proto, found = onnx.load(path), open_model(path)
    info = replace(
        found.info,
        format_version=FORMAT_VERSION,
        corpora=found.info.corpora or list_credits(found.info.training_corpora),
        encoder_licence=found.info.encoder_licence or describe_encoder_licence(load_recipe(RECIPE)),
    )
    if not found.n_features:
        (mean,) = (tensor for tensor in proto.graph.initializer if tensor.name == "mean")
        add_embedding(proto.graph, mean.dims[0])
    with replace_file(path) as part:
        part.write_bytes(serialize_model(proto, info))


def make_model(runs: Path) -> None:
    """Train, calibrate and export the bundled model."""
    temperature, min_confidence = read_calibrations(runs)
    recipe = load_recipe(RECIPE, ["data.protocol=everything"])
    with tempfile.TemporaryDirectory() as temporary:
        run = run_experiment(recipe, load_protocol(recipe, None), Path(temporary) / "run")
        model = run.folder / "model.onnx"
        network = load_network(run.folder, recipe)
        network.temperature.fill_(temperature)
        info = replace(
            open_model(model).info,
            temperature=temperature,
            min_confidence=min_confidence,
            scores=read_scores(),
        )
        rate_hz = recipe.frontend.sample_rate_hz
        waveforms = [load_audio(clip.path, rate_hz).samples for clip in load_clips()[:8]]
        export_onnx(network, recipe, info, model, waveforms)
        with replace_file(find_default_model()) as part:
            part.write_bytes(model.read_bytes())


def read_calibrations(runs: Path) -> tuple[float, float]:
    """Average the recipe's calibrations: the geometric mean temperature, the median threshold."""
    files = sorted(runs.glob(f"{RECIPE}-{CALIBRATED_BY}-seed*/fold-*/calibration.json"))
    if not files:
        raise RunError(f"{runs} holds no {RECIPE}-{CALIBRATED_BY} runs; run `make accuracy` first")
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    temperatures = [entry["temperature"] for entry in found]
    thresholds = [entry["min_confidence"] for entry in found]
    typer.echo(
        f"{len(files)} calibrations: temperature {min(temperatures):.2f} to "
        f"{max(temperatures):.2f}, threshold {min(thresholds):.2f} to {max(thresholds):.2f}"
    )
    return float(np.exp(np.mean(np.log(temperatures)))), float(np.median(thresholds))


def read_scores() -> tuple[ProtocolScore, ...]:
    """Read the recipe's mean scores over seeds from the table that `make accuracy` writes."""
    with SCORES.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["recipe"] == RECIPE]
    n_seeds = Counter(
        row["protocol"] for row in rows if row["seeds"] != "mean" and row["score"] == "WA"
    )
    return tuple(
        ProtocolScore(
            name=row["score"],
            value=float(row["value"]),
            low=float(row["low"]),
            high=float(row["high"]),
            protocol=f"{row['protocol']} v{row['version']}",
            speaker_independent=row["speaker_independent"] == "true",
            n_seeds=n_seeds[row["protocol"]],
            n_clips=int(row["clips"]),
            n_speakers=int(row["speakers"]),
        )
        for row in rows
        if row["seeds"] == "mean" and row["score"] in ("WA", "UA", "F1")
    )


def print_model(info: ModelInfo) -> None:
    """Print the new file's metadata."""
    typer.echo(f"{info.name}: {info.training_clips:,} training clips")
    typer.echo(f"temperature {info.temperature:.3f}, uncertain below {info.min_confidence:.2f}")
    for score in info.scores:
        typer.echo(f"  {score}")


if __name__ == "__main__":
    typer.run(main)
